import { createConnection, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ALL_ADDRESSES } from '../config.ts';
import type { Address, Closeable, Stream, StreamHandler } from '../ports.ts';
import { TcpNetwork } from './tcp.ts';

const opened: (Closeable | Socket)[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) 'destroy' in each ? each.destroy() : each.close();
});

function listen(host: string, onStream: (stream: Stream) => StreamHandler): Promise<Address> {
  return new Promise((resolve, reject) => {
    const handler = { onListening: resolve, onFailure: reject, onStream };
    opened.push(new TcpNetwork().listen({ host, port: 0 }, handler));
  });
}

function dial(host: string, port: number): Socket {
  const socket = createConnection({ host, port });
  opened.push(socket);
  socket.on('error', () => undefined);
  return socket;
}

const silent: StreamHandler = { onBytes: () => undefined, onDrain: () => undefined, onClose: () => undefined };

describe('TcpNetwork', () => {
  test('names an IPv4 client by its IPv4 address, also where it listens on all addresses', async () => {
    const remote = new Promise<Address>((resolve) => {
      void listen(ALL_ADDRESSES, (stream) => {
        resolve(stream.remote);
        return silent;
      }).then((address) => dial('127.0.0.1', address.port));
    });
    expect((await remote).host).toBe('127.0.0.1');
  });

  test('sends what one turn writes in one piece', async () => {
    const address = await listen('127.0.0.1', (stream) => {
      for (const piece of ['a', 'b', 'c']) stream.write(Buffer.from(piece));
      return silent;
    });
    const first = await new Promise<Buffer>((resolve) => dial('127.0.0.1', address.port).once('data', resolve));
    expect(first.toString()).toBe('abc');
  });

  test('reports a connection that its client resets', async () => {
    let socket: Socket | undefined;
    const error = new Promise<Error | undefined>((resolve) => {
      void listen('127.0.0.1', () => ({ ...silent, onBytes: () => socket?.resetAndDestroy(), onClose: resolve })).then(
        (address) => {
          socket = dial('127.0.0.1', address.port);
          socket.write('x');
        },
      );
    });
    expect(await error).toMatchObject({ code: 'ECONNRESET' });
  });

  test('gets the last reply to a client that keeps writing while the server closes', async () => {
    const reply = Buffer.alloc(300_000, 'r');
    const address = await listen('127.0.0.1', (stream) => ({
      ...silent,
      onBytes: () => {
        stream.pause();
        stream.write(reply);
        stream.close();
      },
    }));
    const socket = dial('127.0.0.1', address.port);
    socket.write(Buffer.alloc(200_000));
    let received = 0;
    await new Promise((resolve) => socket.on('data', (bytes) => (received += bytes.length)).on('close', resolve));
    expect(received).toBe(reply.length);
  });
});
