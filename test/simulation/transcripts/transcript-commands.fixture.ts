/**
 * The commands of a transcript, and what each does in its world. They are described at the head of `transcripts.test.ts`.
 */
import { type ServerId, toServerId, toSessionId } from 'zookeeper-protocol-ts';
import type { World } from './transcript-file.fixture.ts';
import type { DiskContents } from './transcript-server.fixture.ts';
import { toMessageOf, toZxidOf, toZxids } from './transcript-words.fixture.ts';
import { TranscriptWorld } from './transcript-world.fixture.ts';

type Command = readonly [pattern: RegExp, run: (world: TranscriptWorld, parts: readonly string[]) => void];

/** A world in which nothing is yet. It throws an Error for a command that is none, or can't be followed now. */
export function newWorld(): World {
  const world = new TranscriptWorld();
  return {
    do: (command) => {
      for (const [pattern, run] of COMMANDS) {
        const found = pattern.exec(command);
        if (found === null) continue;
        run(world, found.slice(1));
        return world.takeLines();
      }
      throw new Error(`"${command}" is no command`);
    },
  };
}

const idOf = (text = ''): ServerId => toServerId(Number(text));
const idsOf = (text = ''): ServerId[] => (text === '' ? [] : text.split(' ').map(idOf));
const quoted = (text = ''): string[] => [...text.matchAll(/"([^"]*)"/g)].map(([, words = '']) => words);

const AT_HAND_DEFAULT = 500;

function diskOf(text: string): DiskContents {
  const clauses = new Map(
    text.split(', ').map((clause) => {
      const [, name, value] = /^(snapshot|log|at hand|accepted epoch|current epoch) (.+)$/.exec(clause) ?? [];
      if (name === undefined || value === undefined) throw new Error(`"${clause}" is nothing that a disk has`);
      return [name, value] as const;
    }),
  );
  const snapshot = clauses.get('snapshot');
  const log = clauses.get('log');
  return {
    snapshot: snapshot === undefined ? undefined : toZxidOf(snapshot),
    log: log === undefined ? [] : toZxids(log),
    atHand: Number(clauses.get('at hand') ?? AT_HAND_DEFAULT),
    acceptedEpoch: Number(clauses.get('accepted epoch') ?? 0),
    currentEpoch: Number(clauses.get('current epoch') ?? 0),
  };
}

const COMMANDS: readonly Command[] = [
  [
    /^servers ((?:\d+ ?)+?)(?:, observers? ((?:\d+ ?)+))?$/,
    (world, [voters, observers]) => world.setServers(idsOf(voters), idsOf(observers)),
  ],
  [/^disk (\d+): (.+)$/, (world, [id, text = '']) => world.server(idOf(id)).setDisk(diskOf(text))],
  [/^start ((?:\d+ ?)+)$/, (world, [ids]) => world.start(idsOf(ids))],
  [/^kill (\d+)$/, (world, [id]) => world.end(idOf(id), false)],
  [/^crash (\d+)$/, (world, [id]) => world.end(idOf(id), true)],
  [
    /^state ((?:\d+ ?)+)$/,
    (world, [ids]) => {
      for (const id of idsOf(ids)) world.tell(world.server(id).state);
    },
  ],
  // The ways between servers.
  [/^(\d+) -> (\d+): (.+)$/, (world, [from, to, text = '']) => world.speak(idOf(from), idOf(to), text)],
  [/^deliver (\d+) -> (\d+)$/, (world, [from, to]) => world.deliver(idOf(from), idOf(to))],
  [/^deliver (\d+) -> (\d+) all$/, (world, [from, to]) => world.deliverAll(idOf(from), idOf(to))],
  [/^drop (\d+) -> (\d+)$/, (world, [from, to]) => world.drop(idOf(from), idOf(to))],
  [/^(\d+) connects to (\d+)$/, (world, [from, to]) => world.connect(idOf(from), idOf(to))],
  [/^(\d+) accepts (\d+)$/, (world, [leader, learner]) => world.accept(idOf(leader), idOf(learner))],
  [/^(\d+) refuses (\d+)$/, (world, [leader, learner]) => world.refuse(idOf(leader), idOf(learner))],
  [
    /^(\d+) loses (\d+)$/,
    (world, [id, other]) => world.server(idOf(id)).step({ kind: 'unreachable', server: idOf(other) }),
  ],
  [/^cut (\d+) - (\d+)$/, (world, [a, b]) => world.cut(idOf(a), idOf(b))],
  // Disks.
  [/^fsync (\d+)$/, (world, [id]) => world.server(idOf(id)).syncLog()],
  [/^fsync (\d+) up to (\S+)$/, (world, [id, zxid = '']) => world.server(idOf(id)).syncLog(toZxidOf(zxid))],
  [/^save (\d+)$/, (world, [id]) => world.server(idOf(id)).saveEpoch()],
  [/^feed (\d+)$/, (world, [id]) => world.server(idOf(id)).feed()],
  [/^change (\d+)$/, (world, [id]) => world.server(idOf(id)).changeHistory()],
  // Clients.
  [
    /^propose (\d+)((?: "[^"]*")+)$/,
    (world, [id, words]) => {
      for (const each of quoted(words)) world.server(idOf(id)).propose(each);
    },
  ],
  [/^sync (\d+)$/, (world, [id]) => world.server(idOf(id)).sync()],
  [/^(\d+) forwards (.+)$/, (world, [id, text = '']) => world.server(idOf(id)).forward(toMessageOf(text))],
  [
    /^(\d+) hears session (0x[0-9a-f]+) of (\d+) ms$/,
    (world, [id, session = '', timeout]) => {
      const touched = { sessionId: toSessionId(BigInt(session)), timeoutMs: Number(timeout) };
      world.server(idOf(id)).touched.push(touched);
    },
  ],
  [
    /^(\d+) knows session (0x[0-9a-f]+)$/,
    (world, [id, session = '']) => void world.server(idOf(id)).sessions.add(BigInt(session)),
  ],
  // Time.
  [/^wait (\d+) ms$/, (world, [ms]) => world.wait(Number(ms))],
  [/^run$/, (world) => world.run(0)],
  [/^run (\d+) ms$/, (world, [ms]) => world.run(Number(ms))],
  [/^hold (fsync \d+|save \d+|feed \d+|change \d+|\d+ -> \d+)$/, (world, [what = '']) => world.hold(what)],
  [/^release (fsync \d+|save \d+|feed \d+|change \d+|\d+ -> \d+)$/, (world, [what = '']) => world.release(what)],
];
