/**
 * Watch streams: a configuration, the workers that are there, and a whole tree, followed over an outage. A server of
 * its own in this process stands in for an ensemble; `restart` cuts all connections, and what is written meanwhile is
 * found by the streams themselves.
 *
 * node examples/dist/watch-streams.js
 */
import { distinctUntilChanged, filter, firstValueFrom, map } from 'rxjs';
import { connect } from 'zookeeper-client-ts';
import { states, watch } from 'zookeeper-client-ts/rx';
import { TestingServer } from 'zookeeper-server-ts/testing';

await using server = await TestingServer.start();
await using client = await connect(server.connectString, { sessionTimeoutMs: 10_000 });
await using other = await connect(server.connectString);

/** The present configuration, then each other one: undefined while there is none. */
const limit$ = watch(client, '/config').data$.pipe(
  map(({ node }) => node?.json()),
  map((config) => (typeof config === 'object' && config !== null && 'limit' in config ? config.limit : undefined)),
  distinctUntilChanged(),
);
const subscriptions = [
  limit$.subscribe((limit) => console.log(`limit: ${limit}`)),
  watch(client, '/workers').children$.subscribe(({ added, removed, children }) =>
    console.log(
      `workers: ${children.length} (${[...added.map((name) => `+${name}`), ...removed.map((name) => `-${name}`)].join(' ')})`,
    ),
  ),
  states(client).subscribe((state) => console.log(`state: ${state}`)),
];

await other.create('/config', { data: JSON.stringify({ limit: 10 }) });
await firstValueFrom(limit$.pipe(filter((limit) => limit === 10)));
await other.create('/workers/alpha', { mode: 'EPHEMERAL', parents: true });
await firstValueFrom(watch(client, '/workers').children$.pipe(filter(({ children }) => children.length === 1)));

await server.restart();
await other.setData('/config', JSON.stringify({ limit: 20 }));
await firstValueFrom(limit$.pipe(filter((limit) => limit === 20)));
await other.create('/workers/bravo', { mode: 'EPHEMERAL' });

// The same as a loop: one change for each znode, and `synced` when all that there is has been told.
for await (const change of client.watch('/workers', { recursive: true })) {
  console.log(`tree: ${change.kind} ${change.path}`);
  if (change.kind === 'synced') break;
}
// Unsubscribing removes the watches on the server.
for (const subscription of subscriptions) subscription.unsubscribe();
