import { describe, expect, it } from 'vitest';
import { ConnectionLossError } from 'zookeeper-client-ts';
import { FakeServers, settle } from './fake-client.fixture.ts';
import { type Ownership, OwnershipLostError } from './ownership.ts';
import { InterProcessReadWriteLock, LockUpgradeError } from './read-write-lock.ts';

const PATH = '/locks/catalog';

function newLock(servers = new FakeServers()) {
  const client = servers.newClient().start();
  return { servers, client, lock: new InterProcessReadWriteLock(client.framework, PATH, { data: 'me' }) };
}

/** Whether an acquire has been granted. */
function follow(acquiring: Promise<Ownership>): () => boolean {
  let granted: Ownership | undefined;
  void acquiring.then((held) => {
    granted = held;
  });
  return () => granted?.isHeld() ?? false;
}

const namesOf = (servers: FakeServers) => [...servers.znodes.keys()].map((path) => path.split('-').at(-1));

describe('InterProcessReadWriteLock', () => {
  it('is held by many readers, or by one writer', async () => {
    const servers = new FakeServers();
    const reading = await newLock(servers).lock.readLock.acquire();
    const alsoReading = await newLock(servers).lock.readLock.acquire();
    const isWriting = follow(newLock(servers).lock.writeLock.acquire());
    await settle();
    expect(isWriting()).toBe(false);
    await reading.release();
    await settle();
    expect(isWriting()).toBe(false);
    await alsoReading.release();
    await settle();
    expect(isWriting()).toBe(true);
  });

  it('is fair: a reader that comes later waits behind a writer that waits', async () => {
    const servers = new FakeServers();
    const reading = await newLock(servers).lock.readLock.acquire();
    const writing = newLock(servers).lock.writeLock.acquire();
    const late = newLock(servers).lock.readLock;
    const isReading = follow(late.acquire());
    await settle();
    expect(isReading()).toBe(false);
    expect(await late.tryAcquire()).toBeUndefined();
    await reading.release();
    await (await writing).release();
    await settle();
    expect(isReading()).toBe(true);
  });

  it('a writer that leaves without having written wakes the readers behind it', async () => {
    const servers = new FakeServers();
    const reading = await newLock(servers).lock.readLock.acquire();
    const stop = new AbortController();
    const writing = newLock(servers).lock.writeLock.acquire({ signal: stop.signal });
    const isReading = follow(newLock(servers).lock.readLock.acquire());
    await settle();
    stop.abort('enough');
    await expect(writing).rejects.toBe('enough');
    await settle();
    expect(isReading()).toBe(true);
    expect(reading.isHeld()).toBe(true);
  });

  it('lists those who take part by their side, and writes its data', async () => {
    const { servers, lock } = newLock();
    const writing = await lock.writeLock.acquire();
    void lock.readLock.acquire();
    void lock.readLock.acquire();
    await settle();
    expect(await lock.writeLock.getParticipantNodes()).toEqual([writing.path]);
    expect(await lock.readLock.getParticipantNodes()).toHaveLength(2);
    expect(servers.read(writing.path).data.toString()).toBe('me');
  });

  describe('from writing to reading', () => {
    it('is granted at once, on a znode with the number of the writer, and lets no waiting writer in (CURATOR-621)', async () => {
      const servers = new FakeServers();
      const { lock } = newLock(servers);
      const writing = await lock.writeLock.acquire();
      const isWriting = follow(newLock(servers).lock.writeLock.acquire());
      await settle();
      const reading = await lock.readLock.acquire({ owner: writing });
      expect(namesOf(servers)).toEqual(['__WRIT__0000000000', '__WRIT__0000000001', '__READ__0000000000']);
      expect(servers.read(reading.path).data.toString()).toBe('me');
      expect(reading.token).toBe(writing.token);
      await writing.release();
      await settle();
      expect(reading.isHeld()).toBe(true);
      expect(isWriting()).toBe(false);
      await reading.release();
      await settle();
      expect(isWriting()).toBe(true);
    });

    it('keeps the token of the writer: a writer that stood behind it has a higher one', async () => {
      const servers = new FakeServers();
      const { lock } = newLock(servers);
      const writing = await lock.writeLock.acquire();
      const next = newLock(servers).lock.writeLock.acquire();
      await settle();
      const reading = await lock.readLock.acquire({ owner: writing });
      await writing.release();
      await reading.release();
      expect((await next).token).toBeGreaterThan(reading.token);
    });

    it('lets other readers in once the writer has left', async () => {
      const servers = new FakeServers();
      const { lock } = newLock(servers);
      const writing = await lock.writeLock.acquire();
      const isReading = follow(newLock(servers).lock.readLock.acquire());
      await settle();
      const reading = await lock.readLock.acquire({ owner: writing });
      await settle();
      expect(isReading()).toBe(false);
      await writing.release();
      await settle();
      expect(isReading()).toBe(true);
      expect(reading.isHeld()).toBe(true);
    });

    it('needs no handle in a using of the writer, and is for nobody else', async () => {
      const servers = new FakeServers();
      const { lock } = newLock(servers);
      await lock.writeLock.using(async (writing) => {
        await lock.readLock.using(async (reading) => {
          expect(reading.isHeld()).toBe(true);
          const again = await lock.readLock.acquire();
          expect(again.path).toBe(reading.path);
          await again.release();
          await lock.writeLock.using((again) => expect(again.token).toBe(writing.token));
        });
      });
      const writing = await lock.writeLock.acquire();
      expect(await lock.readLock.tryAcquire()).toBeUndefined();
      await writing.release();
    });

    it('does not happen once the writer has lost its znode: nothing is made', async () => {
      const { servers, lock } = newLock();
      const writing = await lock.writeLock.acquire();
      await settle();
      // Its watch has not fired yet: only the server knows.
      servers.watches = [];
      servers.delete(writing.path);
      await expect(lock.readLock.acquire({ owner: writing })).rejects.toBeInstanceOf(OwnershipLostError);
      expect(servers.znodes.size).toBe(0);
    });

    it('rejects with the loss when what it has made goes with the session', async () => {
      const { servers, client, lock } = newLock();
      const writing = await lock.writeLock.acquire();
      client.onAnswer = (operation) => {
        if (operation === 'transaction') client.lose();
        if (operation === 'transaction') servers.expire(writing.sessionId);
      };
      await expect(lock.readLock.acquire({ owner: writing })).rejects.toBeInstanceOf(OwnershipLostError);
      expect(servers.znodes.size).toBe(0);
    });

    it('is undone when its answer is lost for good', async () => {
      const { servers, client, lock } = newLock();
      const writing = await lock.writeLock.acquire();
      client.onAnswer = (operation) => {
        if (operation === 'transaction') throw new ConnectionLossError('gone');
      };
      await expect(lock.readLock.acquire({ owner: writing })).rejects.toBeInstanceOf(ConnectionLossError);
      expect(namesOf(servers)).toEqual(['__WRIT__0000000000']);
    });
  });

  describe('from reading to writing', () => {
    it('is refused at once to who shows the handle', async () => {
      const { servers, lock } = newLock();
      const reading = await lock.readLock.acquire();
      await expect(lock.writeLock.acquire({ owner: reading })).rejects.toBeInstanceOf(LockUpgradeError);
      await expect(lock.writeLock.tryAcquire({ owner: reading })).rejects.toBeInstanceOf(LockUpgradeError);
      expect(servers.znodes.size).toBe(1);
    });

    it('is refused at once in a using of the reader', async () => {
      const { lock } = newLock();
      await lock.readLock.using(async () => {
        await expect(lock.writeLock.acquire()).rejects.toBeInstanceOf(LockUpgradeError);
      });
    });

    it('is refused after the way down, when the writer has left', async () => {
      const { lock } = newLock();
      const writing = await lock.writeLock.acquire();
      const reading = await lock.readLock.acquire({ owner: writing });
      await writing.release();
      await expect(lock.writeLock.acquire({ owner: reading })).rejects.toBeInstanceOf(LockUpgradeError);
    });
  });
});
