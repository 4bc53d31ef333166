/**
 * A program that stands between clients and a server, and passes everything on so many ms later: `node slow-link.js PORT MS`. It prints the
 * port that it listens on. What takes few round trips shows behind it, whatever else the machine has to do.
 */
import { connect, createServer, type Socket } from 'node:net';

const [port = 0, delayMs = 0] = process.argv.slice(2).map(Number);

function pass(from: Socket, to: Socket): void {
  from.setNoDelay(true);
  from.on('data', (bytes) => setTimeout(() => to.write(bytes), delayMs));
  from.on('close', () => setTimeout(() => to.destroy(), delayMs));
  // It is closed then, and the other side with it.
  from.on('error', () => undefined);
}

const link = createServer((client) => {
  const server = connect(port, '127.0.0.1');
  pass(client, server);
  pass(server, client);
});
link.listen(0, '127.0.0.1', () => {
  const address = link.address();
  if (address !== null && typeof address === 'object') console.log(address.port);
});
