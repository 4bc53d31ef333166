/**
 * What an ensemble of processes of ours does with those who don't belong to it: strangers on its ports, a second server with the same
 * number, folders that are at odds. A clear message, a safe refusal, and it goes on.
 */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  JuteWriter,
  LEARNER_PROTOCOL_VERSION,
  learnerInfo,
  QuorumPacketType,
  quorumPacket,
  toServerId,
  toZxid,
} from 'zookeeper-protocol-ts';
import { connectThrough, expectOneTree } from './ensemble-checks.fixture.ts';
import { type EnsembleMember, EnsembleOfProcesses, ours, settingsWith } from './ensemble-processes.fixture.ts';

/** A stranger says something and waits until the server ends the connection. */
async function say(port: number, bytes: Uint8Array): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => undefined); // a reset is an end like any other
  socket.resume();
  socket.write(bytes);
  await once(socket, 'close');
}

function written(write: (writer: JuteWriter) => void): Buffer {
  const writer = new JuteWriter();
  write(writer);
  return Buffer.from(writer.take());
}

/** The first words on the election port, of some version and server. */
const introduction = (version: bigint, id: number, addressBytes?: number): Buffer =>
  written((writer) => {
    writer.writeLong(version);
    writer.writeLongFromNumber(id);
    if (addressBytes === undefined) writer.writeString('127.0.0.1:1');
    else writer.writeInt(addressBytes);
  });

const packet = (type: number, data: Uint8Array | null = null): Buffer =>
  written((writer) =>
    quorumPacket.write(writer, { type: type as QuorumPacketType, zxid: toZxid(0n), data, authinfo: null }),
  );

const infoOf = (id: number): Buffer =>
  written((writer) =>
    learnerInfo.write(writer, {
      serverId: toServerId(id),
      protocolVersion: LEARNER_PROTOCOL_VERSION,
      configVersion: 0n,
    }),
  );

const HTTP = Buffer.from('GET / HTTP/1.1\r\nHost: zookeeper\r\n\r\n');

describe('an ensemble of three processes', { timeout: 60_000 }, () => {
  let ensemble: EnsembleOfProcesses;
  let leader: EnsembleMember;
  let paths = 0;

  beforeAll(async () => {
    // Nobody is taken for gone because the machine has much to do.
    const settings = settingsWith('syncLimit=100');
    ensemble = await EnsembleOfProcesses.start({ runners: [ours, ours, ours], settings });
    leader = await ensemble.leader();
  });
  afterAll(() => ensemble?.stop());

  /** The same leader leads, and all have what is written now. */
  async function expectUndisturbed(): Promise<void> {
    expect((await ensemble.leader()).id).toBe(leader.id);
    await using client = await connectThrough(ensemble.connectString);
    await expectOneTree(ensemble, [await client.create(`/undisturbed-${++paths}`)]);
  }

  it.each([
    ['the words of another protocol', HTTP, 'unreadable: '],
    ['an unknown version', introduction(-65_537n, 1), 'unreadable: an election protocol of version -65537'],
    ['an address without end', introduction(-65_536n, 1, 2 ** 30), 'unreadable: an address'],
    ['a message without end', Buffer.concat([introduction(-65_536n, 9), Buffer.alloc(4, 0x7f)]), 'unreadable: '],
    [
      'a message that is none',
      Buffer.concat([introduction(-65_536n, 9), Buffer.from([0, 0, 0, 2, 1, 1])]),
      'of 2 bytes',
    ],
  ])('ends a connection to the election port that brings %s', async (_, bytes, reason) => {
    for (const member of ensemble.members) {
      await say(member.electionPort, bytes);
      await expect.poll(() => member.output()).toContain(reason);
    }
    await expectUndisturbed();
  });

  it.each([
    ['the words of another protocol', HTTP, 'unreadable: '],
    ['a packet without end', Buffer.concat([packet(1).subarray(0, 12), Buffer.alloc(4, 0x7f)]), 'unreadable: '],
    ['a packet of an unknown type', packet(99), 'unreadable: a quorum packet of the unknown type 99'],
    ['a packet that only a leader sends', packet(QuorumPacketType.NEWLEADER), 'introduce itself first'],
  ])('ends a connection to the leader that brings %s', async (_, bytes, reason) => {
    await say(leader.quorumPort, bytes);
    await expect.poll(() => leader.output()).toContain(reason);
    await expectUndisturbed();
  });

  it('ends a connection that brings nothing', async () => {
    await say(leader.quorumPort, Buffer.alloc(0));
    await expect.poll(() => leader.output()).toContain('it has not said who it is');
    await expectUndisturbed();
  });

  it('is not disturbed by a follower that is not in the list: it is told the epoch, and its words count for nothing', async () => {
    const socket = connect({ host: '127.0.0.1', port: leader.quorumPort });
    socket.on('error', () => undefined);
    socket.write(packet(QuorumPacketType.FOLLOWERINFO, infoOf(9)));
    const [told] = (await once(socket, 'data')) as [Buffer];
    expect(told.readInt32BE(0)).toBe(QuorumPacketType.LEADERINFO);
    // It acknowledges what it was never sent.
    socket.write(packet(QuorumPacketType.ACK));
    await expectUndisturbed();
    socket.destroy();
    await once(socket, 'close');
    await expectUndisturbed();
  });

  /** Another server, in a folder of its own, with the number and the list of server 1, changed as said. */
  async function stranger(change: (zooCfg: string, own: EnsembleMember) => string, myid = '1') {
    const alone = await EnsembleOfProcesses.prepare({ runners: [ours] });
    const own = alone.member(1);
    const zooCfg = await readFile(join(ensemble.member(1).folder, 'zoo.cfg'), 'utf8');
    const moved = zooCfg.replace(/^dataDir=.*$/m, `dataDir=${own.folder}/data`);
    await writeFile(join(own.folder, 'zoo.cfg'), change(moved, own));
    await writeFile(join(own.folder, 'data', 'myid'), myid);
    await own.start(ours);
    return { own, [Symbol.asyncDispose]: () => alone.stop() };
  }

  it('lets a server end that has the number, and the ports, of one that runs', async () => {
    await using twin = await stranger((zooCfg, { clientPort }) =>
      zooCfg.replace(/^clientPort=.*$/m, `clientPort=${clientPort}`),
    );
    expect(await twin.own.exited).toBeGreaterThan(0);
    expect(await twin.own.output()).toContain(
      `EADDRINUSE: address already in use 127.0.0.1:${ensemble.member(1).quorumPort}`,
    );
    await expectUndisturbed();
  });

  it('has nothing to say to a server with the number of one of them, and it serves nobody', async () => {
    await using twin = await stranger((zooCfg, { clientPort, quorumPort, electionPort }) =>
      zooCfg
        .replace(/^clientPort=.*$/m, `clientPort=${clientPort}`)
        .replace(/^server\.1=.*$/m, `server.1=127.0.0.1:${quorumPort}:${electionPort}`),
    );
    await expect.poll(() => twin.own.output()).toContain('serving on');
    await expectUndisturbed();
    expect(await twin.own.mode()).toBe('none');
  });

  it('does not start a server whose number is not in the list', async () => {
    await using seventh = await stranger((zooCfg) => zooCfg, '7');
    expect(await seventh.own.exited).toBe(2);
    expect(await seventh.own.output()).toMatch(/data\/myid: .*zoo\.cfg has no server\.7/);
  });

  it('is not joined by a server whose folder has a later epoch than theirs', async () => {
    const [member] = ensemble.others(leader) as [EnsembleMember];
    await member.stop();
    const own = await epochsOf(member);
    await writeEpochs(member, { accepted: '99', current: '99' });
    await ensemble.restart(member);
    await expect.poll(() => member.output()).toContain('is older than 99, which was accepted before');
    await using client = await connectThrough(leader.connectString);
    await client.create(`/without-it-${++paths}`);
    expect(await member.mode()).toBe('none');
    await member.stop();
    await writeEpochs(member, own);
    await ensemble.restart(member);
    await expectUndisturbed();
  });

  it.each([
    [{ accepted: '1', current: '2' }, 'the current epoch is 2, and only 1 was accepted'],
    [{ accepted: '0', current: '0' }, 'the history has 1'],
    [{ accepted: 'one', current: '1' }, '"one" is no epoch'],
  ])('does not start a server whose epochs are at odds: %o', async (epochs, problem) => {
    const [member] = ensemble.others(leader) as [EnsembleMember];
    await member.stop();
    const own = await epochsOf(member);
    await writeEpochs(member, epochs);
    await ensemble.restart(member);
    const code = await member.exited;
    const said = await member.output();
    await writeEpochs(member, own);
    await ensemble.restart(member);
    await expectUndisturbed();
    expect(code).toBeGreaterThan(0);
    expect(said).toContain(problem);
  });
});

interface Epochs {
  readonly accepted: string;
  readonly current: string;
}

const epochFile = (member: EnsembleMember, which: keyof Epochs): string =>
  join(member.folder, 'data', 'version-2', `${which}Epoch`);

const epochsOf = async (member: EnsembleMember): Promise<Epochs> => ({
  accepted: await readFile(epochFile(member, 'accepted'), 'utf8'),
  current: await readFile(epochFile(member, 'current'), 'utf8'),
});

async function writeEpochs(member: EnsembleMember, { accepted, current }: Epochs): Promise<void> {
  await writeFile(epochFile(member, 'accepted'), accepted);
  await writeFile(epochFile(member, 'current'), current);
}
