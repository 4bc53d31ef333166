/** What an administrator is told of an ensemble, in the words of the original. */
import { describe, expect, it } from 'vitest';
import { toServerId } from 'zookeeper-protocol-ts';
import type { LearnerProgress } from '../zab/learner-progress.ts';
import { ensembleOf, server, zxid } from '../zab/zab.fixture.ts';
import { runCommand } from './commands.ts';
import { answerFourLetterWord } from './four-letter-words.ts';
import { LearnerStatistics } from './learner-statistics.ts';
import { monitorValues } from './monitor.ts';
import { viewWith } from './server-view.fixture.ts';
import type { EnsembleView, LearnerView, ServerView } from './server-view.ts';

const learner = (id: number, phase: LearnerProgress['phase'] = 'serving'): LearnerView => ({
  ...{ id: server(id), isVoter: id !== 4, phase },
  connection: { remote: '10.0.0.1:500', queuedPackets: 0, queuedBytes: 0, statistics: new LearnerStatistics(1500) },
});

const ensemble: EnsembleView = {
  ensemble: ensembleOf(3, 1),
  self: toServerId(1),
  leader: toServerId(1),
  zabState: 'broadcast',
  reign: { learners: [learner(2), learner(3, 'epoch'), learner(4)], pendingSyncs: 2 },
};

const follows: EnsembleView = { ...ensemble, self: toServerId(2), reign: undefined };

const monitored = (view: ServerView, ...names: string[]) => {
  const values = new Map(monitorValues(view));
  return Object.fromEntries(names.map((name) => [name, values.get(name)]));
};

const ask = (name: string, view: ServerView): unknown => JSON.parse(runCommand(name, new Map(), view));

describe('mntr', () => {
  it('tells of a leader how many follow it, and what waits', () => {
    const view = viewWith({ mode: 'leader', ensemble });
    view.statistics.proposalSizes.record(90);
    view.statistics.proposalSizes.record(60);
    expect(monitored(view, 'server_state', 'peer_state', 'quorum_size', 'learners', 'synced_followers')).toEqual({
      ...{ server_state: 'leader', peer_state: 'leading - broadcast' },
      ...{ quorum_size: 3, learners: 3, synced_followers: 1 },
    });
    expect(
      monitored(view, 'synced_observers', 'synced_non_voting_followers', 'pending_syncs', 'leader_uptime'),
    ).toEqual({
      ...{ synced_observers: 1, synced_non_voting_followers: 0, pending_syncs: 2, leader_uptime: 1000 },
    });
    expect(monitored(view, 'last_proposal_size', 'min_proposal_size', 'max_proposal_size')).toEqual({
      ...{ last_proposal_size: 60, min_proposal_size: 60, max_proposal_size: 90 },
    });
  });

  it('tells of a follower what a follower has, and of a server alone nothing of it', () => {
    expect(
      monitored(viewWith({ mode: 'follower', ensemble: follows }), 'peer_state', 'synced_observers', 'learners'),
    ).toEqual({ peer_state: 'following - broadcast', synced_observers: undefined, learners: undefined });
    expect(monitored(viewWith(), 'peer_state', 'quorum_size')).toEqual({
      peer_state: undefined,
      quorum_size: undefined,
    });
  });
});

describe('srvr and conf', () => {
  it('show the sizes of proposals of a leader, and of nobody else', () => {
    const leads = answerFourLetterWord({ word: 'srvr' }, viewWith({ mode: 'leader', ensemble }));
    expect(leads).toContain('Mode: leader\n');
    expect(leads).toMatch(/Node count: \d+\nProposal sizes last\/min\/max: -1\/-1\/-1\n$/);
    expect(answerFourLetterWord({ word: 'srvr' }, viewWith({ mode: 'follower', ensemble: follows }))).not.toContain(
      'Proposal',
    );
  });

  it('show who belongs to the ensemble', () => {
    expect(answerFourLetterWord({ word: 'conf' }, viewWith({ mode: 'follower', ensemble: follows }))).toContain(
      'electionAlg=3\nelectionPort=1\nquorumPort=1\npeerType=0\nmembership: \nserver.1=localhost:1:1:participant\n',
    );
  });

  it('say that nobody is served while there is no leader', () => {
    expect(answerFourLetterWord({ word: 'srvr' }, viewWith({ mode: undefined, ensemble: follows }))).toBe(
      'This ZooKeeper instance is not currently serving requests\n',
    );
  });
});

describe('the commands of an ensemble', () => {
  it('say who leads, who votes, and how far ZAB is', () => {
    const view = viewWith({ mode: 'follower', ensemble: follows });
    expect(ask('leader', view)).toMatchObject({ is_leader: false, leader_id: 1, leader_ip: 'localhost' });
    expect(Object.keys((ask('voting_view', view) as { current_config: object }).current_config)).toEqual([
      '1',
      '2',
      '3',
    ]);
    expect(ask('zabstate', view)).toMatchObject({
      ...{ myid: 2, is_leader: false, client_address: '0.0.0.0:2181', voting: true },
      ...{ last_zxid: '0x0', zab_epoch: 0, zab_counter: 0, zabstate: 'broadcast' },
    });
  });

  it('tell how far a server has come that has no leader', () => {
    const looks = { ...follows, leader: undefined, zabState: 'election' } as const;
    expect(ask('zabstate', viewWith({ mode: undefined, ensemble: looks }))).toMatchObject({ zabstate: 'election' });
    expect(ask('voting_view', viewWith({ mode: undefined, ensemble: looks }))).toMatchObject({
      error: 'This ZooKeeper instance is not currently serving requests',
    });
  });

  it('show the observers of a leader, and its proposals', () => {
    const view = viewWith({ mode: 'leader', ensemble });
    const { connection } = [...(ensemble.reign?.learners ?? [])][2] ?? {};
    connection?.statistics.onSent(zxid(1, 7));
    connection?.statistics.onSent(undefined);
    connection?.statistics.onReceived({ isRequest: true });
    connection?.statistics.onReceived({ isRequest: false });
    const shown = {
      ...{ remote_socket_address: '/10.0.0.1:500', sid: 4, established: 1_000_001_500 },
      ...{ queued_packets: 0, queued_packets_size: 0, packets_received: 2, packets_sent: 2, requests: 1 },
    };
    expect(ask('observers', view)).toMatchObject({
      synced_observers: 1,
      observers: [{ ...shown, last_zxid: 2 ** 32 + 7 }],
    });
    ask('observer_connection_stat_reset', view);
    expect(ask('observers', view)).toMatchObject({
      observers: [{ ...shown, packets_received: 0, packets_sent: 0, requests: 0, last_zxid: -1 }],
    });
    expect(ask('server_stats', view)).toMatchObject({ proposal_stats: { last_buffer_size: -1 } });
  });

  it('name the leader that an observer has its transactions from', () => {
    const observes = { ...follows, self: toServerId(4) };
    expect(monitored(viewWith({ mode: 'observer', ensemble: observes }), 'observer_master_id')).toEqual({
      observer_master_id: 1,
    });
  });

  it('count a follower that is not in the list of the leader, and say so', () => {
    const learners = [learner(2), learner(3), learner(9)];
    const view = viewWith({ mode: 'leader', ensemble: { ...ensemble, reign: { learners, pendingSyncs: 0 } } });
    expect(monitored(view, 'synced_followers', 'synced_non_voting_followers')).toEqual({
      ...{ synced_followers: 3, synced_non_voting_followers: 1 },
    });
  });
});
