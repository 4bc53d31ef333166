import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TcpProxy } from './tcp-proxy.fixture.ts';

/** More than any of these bytes need to arrive, in ms. */
const AWHILE_MS = 150;

describe('a TCP proxy', () => {
  let server: Server;
  let proxy: TcpProxy;
  let accepted: Socket[];
  let heardByServer: string;

  beforeEach(async () => {
    accepted = [];
    heardByServer = '';
    server = createServer((socket) => {
      accepted.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        heardByServer += bytes;
        socket.write(bytes.toString().toUpperCase());
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await TcpProxy.start((server.address() as AddressInfo).port);
  });

  const clients: Socket[] = [];
  afterEach(async () => {
    for (const socket of [...clients.splice(0), ...accepted]) socket.destroy();
    await proxy.close();
    server.close();
    await once(server, 'close');
  });

  async function open() {
    const [host, port] = proxy.connectString.split(':');
    const socket = connect({ host: host ?? '', port: Number(port) });
    clients.push(socket);
    const heard = { text: '', end: '' };
    socket.on('data', (bytes) => {
      heard.text += bytes;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      heard.end = error.code ?? '';
    });
    socket.on('end', () => {
      heard.end = 'end';
    });
    await once(socket, 'connect');
    return { socket, heard };
  }

  it('carries bytes and ends both ways, and forgets connections that have ended', async () => {
    const { socket, heard } = await open();
    socket.write('one');
    await expect.poll(() => heard.text).toBe('ONE');
    accepted[0]?.end('bye');
    await expect.poll(() => heard).toEqual({ text: 'ONEbye', end: 'end' });
    socket.end();
    await expect.poll(() => proxy.connections).toBe(0);
  });

  it('holds up what comes while it is paused', async () => {
    const { socket, heard } = await open();
    await expect.poll(() => accepted.length).toBe(1);
    proxy.pause();
    socket.write('one');
    await sleep(AWHILE_MS);
    expect(heardByServer).toBe('');
    proxy.resume();
    await expect.poll(() => heard.text).toBe('ONE');
  });

  it.each([
    ['request', ''],
    ['reply', 'one'],
  ] as const)(
    'is silent in the direction of a %s, for ever on the connections that there were',
    async (direction, said) => {
      const { socket, heard } = await open();
      await expect.poll(() => accepted.length).toBe(1);
      proxy.silence([direction]);
      socket.write('one');
      await expect.poll(() => heardByServer).toBe(said);
      const meanwhile = await open();
      proxy.heal();
      socket.write('two');
      meanwhile.socket.write('mean');
      const later = await open();
      later.socket.write('new');
      await expect.poll(() => later.heard.text).toBe('NEW');
      await sleep(AWHILE_MS);
      expect(heard).toEqual({ text: '', end: '' });
      expect(meanwhile.heard).toEqual({ text: '', end: '' });
    },
  );

  it('is silent on the present connections only, if that is asked for', async () => {
    await open();
    await expect.poll(() => accepted.length).toBe(1);
    proxy.silence(undefined, { onlyPresent: true });
    const { socket, heard } = await open();
    socket.write('new');
    await expect.poll(() => heard.text).toBe('NEW');
  });

  it('delays, and keeps the order', async () => {
    const { socket, heard } = await open();
    const from = performance.now();
    proxy.delay(AWHILE_MS, ['request']);
    socket.write('one');
    socket.write('two');
    await expect.poll(() => heard.text).toBe('ONETWO');
    expect(performance.now() - from).toBeGreaterThan(AWHILE_MS - 1);
  });

  it('breaks a connection inside what it carries, once', async () => {
    const { socket, heard } = await open();
    proxy.cutAfter('reply', 4);
    socket.write('one');
    await expect.poll(() => heard.text).toBe('ONE');
    socket.write('two');
    await expect.poll(() => heard).toEqual({ text: 'ONET', end: expect.stringMatching(/end|ECONNRESET/) });
    expect(heardByServer).toBe('onetwo');
    const next = await open();
    next.socket.write('three');
    await expect.poll(() => next.heard.text).toBe('THREE');
  });

  it('resets connections, or ends them', async () => {
    const [first] = [await open()];
    await expect.poll(() => accepted.length).toBe(1);
    proxy.reset();
    await expect.poll(() => first.heard.end).toBe('ECONNRESET');
    const second = await open();
    await expect.poll(() => accepted.length).toBe(2);
    proxy.end();
    await expect.poll(() => second.heard.end).toBe('end');
    expect(proxy.connections).toBe(0);
  });
});
