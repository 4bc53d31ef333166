/** Who takes part in an election: the contenders of its line, with what they wrote into their znodes (Curator's `Participant`). */
import { type CuratorFramework, joinPath, NoNodeError } from 'zookeeper-client-ts';
import { childrenOf, type LineName, lineUp } from './line.ts';

export interface Participant {
  /** What it calls itself: the data of its znode as UTF-8. Empty if it has no name. */
  readonly id: string;
  /** It was first in line when the server was asked. */
  readonly isLeader: boolean;
}

interface Election {
  readonly path: string;
  readonly lineName: LineName;
  readonly signal?: AbortSignal;
}

/** All participants, in the order in which they will lead. Those who leave while they are being read are left out (CURATOR-358). */
export async function participantsOf(client: CuratorFramework, election: Election): Promise<Participant[]> {
  const ids = await Promise.all((await namesOf(client, election)).map((name) => idOf(client, election, name)));
  return ids.filter((id) => id !== undefined).map((id, index) => ({ id, isLeader: index === 0 }));
}

/** The first participant that can still be read; undefined if there is none (CURATOR-436). */
export async function leaderOf(client: CuratorFramework, election: Election): Promise<Participant | undefined> {
  for (const name of await namesOf(client, election)) {
    const id = await idOf(client, election, name);
    if (id !== undefined) return { id, isLeader: true };
  }
  return undefined;
}

async function namesOf(client: CuratorFramework, { path, lineName, signal }: Election): Promise<readonly string[]> {
  return lineUp(await childrenOf(client, path, { ...(signal && { signal }) }), lineName).names;
}

async function idOf(client: CuratorFramework, { path, signal }: Election, name: string): Promise<string | undefined> {
  try {
    return (await client.getData(joinPath(path, name), { ...(signal && { signal }) })).data.toString('utf8');
  } catch (error) {
    if (error instanceof NoNodeError) return undefined;
    throw error;
  }
}
