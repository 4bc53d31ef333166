/** Elections, groups and barriers of a peer: what several processes do together. */
import {
  AcquireTimeoutError,
  DistributedBarrier,
  DistributedDoubleBarrier,
  GroupMember,
  LeaderLatch,
  LeaderSelector,
  string,
} from 'zookeeper-recipes-ts';
import { type Command, ExitCode, numberAt, pause, required, say, UsageError } from './conversation.ts';

/** A leader that has had its last turn stays for so long, that the driver may see it leave. */
const LAST_TURN_MS = 50;

/** `TIMEOUT` and its code, if it was that. */
function onTimeout(error: unknown): number {
  if (!(error instanceof AcquireTimeoutError)) throw error;
  say('TIMEOUT');
  return ExitCode.timeout;
}

export const elections: Readonly<Record<string, Command>> = {
  /** `PATH ID` */
  latch: async ({ client, input, args }) => {
    const latch = new LeaderLatch(client, required(args, 0), { id: args[1] ?? 'node' });
    latch.on('leader', (leadership) => {
      say('LEADER');
      input.watch(leadership, [leadership]);
    });
    latch.on('notLeader', () => say('NOTLEADER'));
    latch.start();
    say('STARTED');
    for await (const command of input.commands()) {
      if (command === 'leader') {
        say('LEADERIS', (await latch.getLeader())?.id || '-');
      } else if (command === 'participants') {
        const ids = (await latch.getParticipants()).map(({ id, isLeader }) => `${isLeader ? '*' : ''}${id}`);
        say('PARTICIPANTS', ids.join(','));
      } else if (command === 'state') {
        say('HAS', latch.hasLeadership);
      }
    }
    await latch.close();
    say('CLOSED');
    return ExitCode.done;
  },

  /** `PATH ID HOLD_MS TURNS` */
  selector: async ({ client, input, args }) => {
    const [holdMs, turns] = [numberAt(args, 2, 500), numberAt(args, 3, 1)];
    let turn = 0;
    let onLast: () => void = () => undefined;
    const last = new Promise<void>((resolve) => (onLast = resolve));
    const listener = {
      async takeLeadership(_client: unknown, leadership: Parameters<typeof input.watch>[1][number]): Promise<void> {
        say('LEADER');
        input.watch(leadership, [leadership]);
        await input.hold(holdMs);
        say('YIELD');
        if (++turn < turns) return;
        onLast();
        await pause(LAST_TURN_MS);
      },
    };
    await using selector = new LeaderSelector(client, required(args, 0), listener, { id: args[1] ?? 'node' });
    selector.autoRequeue().start();
    say('STARTED');
    await last;
    return ExitCode.done;
  },

  /** `PATH ID DATA` */
  member: async ({ client, input, args }) => {
    const options = { data: args[2] ?? '', serializer: string };
    await using member = await new GroupMember(client, required(args, 0), required(args, 1), options).start();
    say('STARTED');
    for await (const _ of input.commands()) {
      say('MEMBERS', [...member.getCurrentMembers()].map(([id, data]) => `${id}=${data}`).join(','));
    }
    return ExitCode.done;
  },

  /** `set|remove|wait PATH [WAIT_MS]` */
  barrier: async ({ client, args }) => {
    const barrier = new DistributedBarrier(client, required(args, 1));
    switch (args[0]) {
      case 'set':
        await barrier.setBarrier();
        say('SET');
        return ExitCode.done;
      case 'remove':
        await barrier.removeBarrier();
        say('REMOVED');
        return ExitCode.done;
      case 'wait':
        say('WAITING');
        try {
          await barrier.waitOnBarrier({ timeoutMs: numberAt(args, 2, 60_000) });
        } catch (error) {
          return onTimeout(error);
        }
        say('PASSED');
        return ExitCode.done;
      default:
        throw new UsageError(`set, remove or wait, not ${args[0]}`);
    }
  },

  /** `PATH QTY HOLD_MS [WAIT_MS]` */
  doublebarrier: async ({ client, input, args }) => {
    const barrier = new DistributedDoubleBarrier(client, required(args, 0), numberAt(args, 1, 1));
    const timeoutMs = numberAt(args, 3, 60_000);
    try {
      say('ENTERING');
      const inside = await barrier.enter({ timeoutMs });
      say('ENTERED');
      input.watch(inside, [inside]);
      await input.hold(numberAt(args, 2, 0));
      say('LEAVING');
      await barrier.leave({ timeoutMs });
    } catch (error) {
      return onTimeout(error);
    }
    say('LEFT');
    return ExitCode.done;
  },
};
