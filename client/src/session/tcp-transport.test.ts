import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { systemClock, tcpTransport } from './tcp-transport.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer(onSocket);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Connects, and notes what is called back. */
function connect(port: number, host = '127.0.0.1') {
  const log: string[] = [];
  const ended = deferred<Error | undefined>();
  const opened = deferred<void>();
  const connection = tcpTransport.connect(
    { host, port },
    {
      onOpen: () => {
        log.push('open');
        opened.resolve();
      },
      onBytes: (bytes) => log.push(Buffer.from(bytes).toString()),
      onClose: (error) => {
        log.push('close');
        ended.resolve(error);
      },
    },
  );
  expect(log).toEqual([]);
  return { connection, log, opened: opened.promise, ended: ended.promise };
}

test('a connection opens, carries bytes both ways and tells its end once', async () => {
  const port = await listen((socket) => socket.once('data', (bytes) => socket.end(`echo ${bytes}`)));
  const { connection, log, opened, ended } = connect(port);
  await opened;
  connection.write(Buffer.from('hello'));
  expect(await ended).toBeUndefined();
  expect(log).toEqual(['open', 'echo hello', 'close']);
});

test('a refused connection closes with the reason and never opens', async () => {
  const port = await listen(() => undefined);
  servers.splice(0)[0]?.close();
  const { log, ended } = connect(port);
  expect((await ended)?.message).toContain('ECONNREFUSED');
  expect(log).toEqual(['close']);
});

test('a name that does not resolve closes with the reason', async () => {
  const { ended } = connect(2181, 'name.invalid');
  expect((await ended)?.message).toMatch(/ENOTFOUND|EAI_AGAIN/);
});

test('close sends what was written, and calls nothing back', async () => {
  const received = deferred<string>();
  const port = await listen((socket) => {
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes;
    });
    socket.on('end', () => received.resolve(text));
  });
  const { connection, log, opened } = connect(port);
  await opened;
  connection.write(Buffer.from('good'));
  connection.write(Buffer.from('bye'));
  connection.close();
  connection.close();
  expect(await received.promise).toBe('goodbye');
  expect(log).toEqual(['open']);
});

test('a timer never runs early', async () => {
  const start = systemClock.now();
  for (const ms of [0.4, 1.3, 5]) {
    const from = systemClock.now();
    await new Promise<void>((resolve) => systemClock.after(ms, resolve));
    expect(systemClock.now() - from).toBeGreaterThanOrEqual(ms);
  }
  expect(systemClock.now()).toBeGreaterThan(start);
});

test('a cancelled timer does not run, and one beyond the limit of setTimeout does not run at once', async () => {
  let ran = false;
  const cancelled = systemClock.after(1, () => {
    ran = true;
  });
  const long = systemClock.after(2 ** 40, () => {
    ran = true;
  });
  cancelled.cancel();
  cancelled.cancel();
  await new Promise<void>((resolve) => systemClock.after(20, resolve));
  expect(ran).toBe(false);
  long.cancel();
});

test('soon runs when the promises that are settled by now have reacted', async () => {
  const log: string[] = [];
  await new Promise<void>((resolve) => {
    systemClock.soon(() => {
      log.push('soon');
      resolve();
    });
    Promise.resolve()
      .then(() => log.push('reaction'))
      .then(() => log.push('reaction of the reaction'));
  });
  expect(log).toEqual(['reaction', 'reaction of the reaction', 'soon']);
});
