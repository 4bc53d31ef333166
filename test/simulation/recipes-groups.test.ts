/**
 * Groups and services among programs that are frozen, killed and cut off, over servers that restart: what is announced is there while who
 * has announced it lives, and goes with it. SIM_SEEDS and SIM_SEED: see `seeds.fixture.ts`.
 */
import { describe, it } from 'vitest';
import { isRetryable } from 'zookeeper-client-ts';
import { GroupMember, makeServiceInstance, RecipeStateError, ServiceDiscovery, string } from 'zookeeper-recipes-ts';
import { type Actor, FAULTS, isDead, RecipeWorld } from './recipe-world.fixture.ts';
import { type Marks, runSeeds, SEEDS_TIMEOUT_MS } from './seeds.fixture.ts';

const file = 'test/simulation/recipes-groups.test.ts';
const ACTORS = 4;

const livingOf = (run: RecipeWorld): Actor[] => run.actors.filter((actor) => !isDead(actor));

/** What is said of whom, in lines. */
const linesOf = (entries: Iterable<readonly [id: string, says: unknown]>): string =>
  [...entries].map(([id, says]) => `${id}: ${says}`).join('\n');

const nothing = (): string => '';

/** In the end. */
async function seesAll(run: RecipeWorld, actor: Actor, what: { shown: () => string; expected: string }): Promise<void> {
  const { shown, expected } = what;
  await run
    .until(`${actor.name} sees all`, () => shown() === expected)
    .catch((cause: unknown) => {
      throw new Error(`R-GROUP: ${actor.name} sees\n${shown()}\nand not\n${expected}`, { cause });
    });
}

async function runGroup(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS, workMs: 10_000 });
  const members = new Map<Actor, { readonly member: GroupMember<string>; says: string }>();
  const join = async (actor: Actor, says: string): Promise<GroupMember<string>> => {
    for (;;) {
      const member = new GroupMember(actor.client, '/group', actor.name, { data: says, serializer: string });
      member.on('membersChanged', (now) => {
        run.mark('members changed');
        if (!now.has(actor.name)) run.violation(`R-GROUP: ${actor.name} does not find itself`);
      });
      members.set(actor, { member, says });
      try {
        return await member.start();
      } catch (error) {
        if (!isRetryable(error)) throw error;
      }
    }
  };
  await run.play(async (actor) => {
    let member = await join(actor, 'first');
    for (let count = 1; run.isWorking; count++) {
      const says = `${count}`;
      if (actor.chance(0.2)) {
        await member.close();
        run.mark('left');
        await actor.pause([0, 500]);
        member = await join(actor, says);
      } else {
        members.set(actor, { member, says });
        // Nobody has to wait for it.
        const said = member.setThisData(says);
        if (actor.chance(0.5)) await said;
      }
      if (!member.getCurrentMembers().has(actor.name)) run.violation(`R-GROUP: ${actor.name} does not find itself`);
      await actor.pause([100, 800]);
    }
  });
  const expected = linesOf(livingOf(run).map(({ name }) => [name, saysOf(name)] as const));
  function saysOf(name: string): string | undefined {
    const [, { says } = {}] = [...members].find(([actor]) => actor.name === name) ?? [];
    return says;
  }
  for (const actor of livingOf(run)) {
    const member = members.get(actor)?.member;
    await seesAll(run, actor, { shown: () => linesOf(member?.getCurrentMembers() ?? []), expected });
  }
  run.mark('all see all');
  for (const actor of livingOf(run)) await run.world.perform(actor.process, () => members.get(actor)?.member.close());
  await run.until('R-ORPHAN: nobody is left', () => run.childrenOf('/group').length === 0);
  await run.close();
  return run.marks;
}

/** An instance of each, which comes and goes, and a cache of all. */
async function runServices(seed: number): Promise<Marks> {
  const run = new RecipeWorld({ seed, actors: ACTORS, workMs: 10_000 });
  const caches = new Map<Actor, () => string>();
  /** Who announces which port in the end. */
  const announced = new Map<Actor, number>();
  const closes = new Map<Actor, () => Promise<void>>();
  await run.play(async (actor) => {
    const discovery = new ServiceDiscovery(actor.client, '/services').start();
    closes.set(actor, () => discovery.close());
    const instanceOf = (port: number) =>
      makeServiceInstance({ name: 'billing', id: actor.name, address: 'host', port, registrationTimeUTC: 1 });
    const cache = await startedCache(discovery);
    caches.set(actor, () => linesOf(cache.getInstances().map(({ id, port }) => [id, port])));
    for (let port = 1; run.isWorking; port++) {
      try {
        if (actor.chance(0.3)) {
          announced.delete(actor);
          await discovery.unregisterService(instanceOf(port));
          run.mark('unregistered');
        } else {
          announced.set(actor, port);
          await discovery.registerService(instanceOf(port));
          run.mark('registered');
        }
      } catch (error) {
        if (!(isRetryable(error) || error instanceof RecipeStateError)) throw error;
      }
      await actor.pause([0, 800]);
    }
  });
  const living = livingOf(run);
  const ports = living.flatMap((actor) => {
    const port = announced.get(actor);
    return port === undefined ? [] : [[actor.name, port] as const];
  });
  const expected = linesOf(ports);
  for (const actor of living) await seesAll(run, actor, { shown: caches.get(actor) ?? nothing, expected });
  run.mark(ports.length > 0 ? 'all see all' : 'nobody there');
  for (const actor of living) await run.world.perform(actor.process, () => closes.get(actor)?.());
  await run.until('R-ORPHAN: no instance is left', () => run.childrenOf('/services/billing').length === 0);
  await run.close();
  return run.marks;
}

async function startedCache(discovery: ServiceDiscovery) {
  for (;;) {
    try {
      return await discovery.serviceCache('billing').start();
    } catch (error) {
      if (!isRetryable(error)) throw error;
    }
  }
}

describe('in every seed', { timeout: SEEDS_TIMEOUT_MS }, () => {
  it('a member always finds itself, and when the faults are over all members find those who live, and nobody else', async () => {
    const covers = [...FAULTS, 'members changed', 'left', 'all see all'];
    await runSeeds({ name: 'a member always', file, covers, run: runGroup });
  });

  it('an instance is announced until it is unregistered, and then no more', async () => {
    const covers = [...FAULTS, 'registered', 'unregistered', 'all see all'];
    await runSeeds({ name: 'an instance is', file, covers, run: runServices });
  });
});
