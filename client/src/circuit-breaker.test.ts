import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { ConnectionState } from './connection-state.ts';
import { CuratorFramework } from './framework.ts';
import { FakeServer } from './operations/fake-server.fixture.ts';
import { RetryForever, RetryNTimes, type RetryPolicy } from './retry.ts';
import { FakeMachine } from './session/fake-machine.fixture.ts';

function breaker(policy: RetryPolicy) {
  const machine = new FakeMachine();
  const told: ConnectionState[] = [];
  const { clock, random } = machine.ports;
  const circuit = new CircuitBreaker({ policy, clock, random, deliver: (state) => told.push(state) });
  return { machine, told, circuit, step: (...states: ConnectionState[]) => states.map((state) => circuit.step(state)) };
}

describe('a circuit breaker', () => {
  it('tells everything while the connection is good', () => {
    const { told, step, machine } = breaker(new RetryForever(1000));
    step('CONNECTED', 'READ_ONLY', 'RECONNECTED');
    expect(told).toEqual(['CONNECTED', 'READ_ONLY', 'RECONNECTED']);
    expect(machine.timers).toBe(0);
  });

  it('tells of a lost connection at once, and of the next one when it has lasted to the end of a pause', () => {
    const { told, step, machine } = breaker(new RetryForever(1000));
    step('CONNECTED', 'SUSPENDED', 'RECONNECTED');
    machine.advance(999);
    expect(told).toEqual(['CONNECTED', 'SUSPENDED']);
    machine.advance(1);
    expect(told).toEqual(['CONNECTED', 'SUSPENDED', 'RECONNECTED']);
    expect(machine.timers).toBe(0);
  });

  it('waits for another pause as long as there is no connection at the end of one', () => {
    const { told, step, machine } = breaker(new RetryForever(1000));
    step('SUSPENDED');
    machine.advance(1500);
    step('RECONNECTED');
    machine.advance(499);
    expect(told).toEqual(['SUSPENDED']);
    machine.advance(1);
    expect(told).toEqual(['SUSPENDED', 'RECONNECTED']);
  });

  it('tells of LOST at once, each time a session is lost, with its good news heard of or not', () => {
    const { told, step } = breaker(new RetryForever(1000));
    step('SUSPENDED', 'LOST', 'RECONNECTED', 'LOST');
    expect(told).toEqual(['SUSPENDED', 'LOST', 'LOST']);
  });

  it('tells of SUSPENDED again when there was a connection in between: somebody may have taken a lock', () => {
    const { told, step } = breaker(new RetryForever(1000));
    step('SUSPENDED', 'RECONNECTED', 'SUSPENDED');
    expect(told).toEqual(['SUSPENDED', 'SUSPENDED']);
  });

  it('tells everything again when the policy grants no further pause', () => {
    const { told, step, machine } = breaker(new RetryNTimes(1, 1000));
    step('SUSPENDED');
    machine.advance(1000);
    expect(machine.timers).toBe(0);
    step('RECONNECTED');
    expect(told).toEqual(['SUSPENDED', 'RECONNECTED']);
  });

  it('holds nothing back under a policy that grants no pause at all', () => {
    const { told, step } = breaker(new RetryNTimes(0, 0));
    step('SUSPENDED', 'RECONNECTED');
    expect(told).toEqual(['SUSPENDED', 'RECONNECTED']);
  });

  it('leaves no timer when it is closed', () => {
    const { circuit, machine, step } = breaker(new RetryForever(1000));
    step('SUSPENDED');
    circuit.close();
    expect(machine.timers).toBe(0);
  });
});

describe('a client with a circuit breaker', () => {
  it('makes its calls while the good news is held back, and closes without a timer left', async () => {
    const server = new FakeServer();
    const client = CuratorFramework.builder()
      .connectString(server.connectString)
      .retryPolicy(new RetryNTimes(2, 100))
      .circuitBreaking(new RetryForever(60_000))
      .ports(server.ports)
      .build();
    const told: ConnectionState[] = [];
    client.on('state', (state) => told.push(state));
    client.start();
    await server.clock.settle();
    server.dropConnections();
    await server.clock.advance(5000);
    expect(client.state).toBe('RECONNECTED');
    const read = client.checkExists('/');
    await server.clock.settle();
    expect(await read).toBeDefined();
    expect(told).toEqual(['CONNECTED', 'SUSPENDED']);
    await server.clock.advance(60_000);
    expect(told).toEqual(['CONNECTED', 'SUSPENDED', 'RECONNECTED']);
    server.dropConnections();
    await server.clock.settle();
    const closed = client.close();
    await server.clock.advance(100);
    await closed;
    expect(server.clock.timers).toBe(0);
  });
});
