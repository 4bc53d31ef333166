/**
 * The world of a transcript: servers, the ways between them, and a clock. Nothing moves until a command of the script moves it
 * (`transcript-commands.fixture.ts`); what the servers do then is told in lines.
 *
 * What must hold: on each way things arrive in the order in which they were sent, and every packet goes over its form on the wire.
 */
import { MarshallingError, type QuorumPacket, type ServerId } from 'zookeeper-protocol-ts';
import { type Notification, readNotification, writeNotification } from '../../../server/src/election/notification.ts';
import { Ensemble, type Member } from '../../../server/src/ensemble.ts';
import type { LinkId } from '../../../server/src/zab/contract.ts';
import { toMessage, toPacket } from '../../../server/src/zab/messages.ts';
import type { Proposal } from '../../../server/src/zab/proposal.ts';
import { type Surroundings, TranscriptServer } from './transcript-server.fixture.ts';
import { toPacketOf, toVote, voteText } from './transcript-words.fixture.ts';

/** A stream to a leader. The script's servers number nothing. */
interface Link {
  readonly learner: End;
  readonly leader: End;
}

interface End {
  readonly server: ServerId;
  readonly link: LinkId | undefined;
}

/** On its way. */
type Flight = { readonly from: ServerId; readonly to: ServerId } & (
  | { readonly kind: 'vote'; readonly bytes: Uint8Array }
  /** Their connection for elections has ended. */
  | { readonly kind: 'unreachable' }
  | { readonly kind: 'packet'; readonly link: Link; readonly packet: QuorumPacket }
  | { readonly kind: 'snapshot'; readonly link: Link; readonly contents: readonly Proposal[] }
  | { readonly kind: 'end'; readonly link: Link }
);

interface Dial {
  readonly from: ServerId;
  readonly to: ServerId;
  readonly link: LinkId;
}

/** More steps than any story has: something goes round in circles. */
const STEPS_MAX = 5_000;

export class TranscriptWorld {
  readonly #servers = new Map<ServerId, TranscriptServer>();
  readonly #links = new Set<Link>();
  readonly #dials: Dial[] = [];
  /** Oldest first. */
  #flights: Flight[] = [];
  /** The last vote on each way: who is reached anew is told again. */
  readonly #lastVotes = new Map<string, Flight>();
  /** What `run` leaves alone. */
  readonly #held = new Set<string>();
  #now = 0;
  readonly #lines: string[] = [];

  /** What has been told since the last time, a line each. */
  takeLines(): string[] {
    return this.#lines.splice(0);
  }

  // --- who there is -----------------------------------------------------------------------------------------------------

  setServers(voters: readonly ServerId[], observers: readonly ServerId[]): void {
    const address = { host: '', port: 0 };
    const memberOf = (type: Member['type']) => (id: ServerId) =>
      ({ id, type, quorumAddress: address, electionAddress: address }) satisfies Member;
    const members = [...voters.map(memberOf('participant')), ...observers.map(memberOf('observer'))];
    const around = this.#surroundings(new Ensemble({ members }));
    for (const { id } of members) this.#servers.set(id, new TranscriptServer(id, around));
  }

  /** @throws Error for a server that there is not */
  server(id: ServerId): TranscriptServer {
    const server = this.#servers.get(id);
    if (server === undefined) throw new Error(`there is no server ${id}`);
    return server;
  }

  tell(line: string): void {
    this.#lines.push(line);
  }

  #surroundings(ensemble: Ensemble): Surroundings {
    return {
      ensemble,
      now: () => this.#now,
      say: (line) => this.tell(line),
      notify: (from, to, notification) => this.#notify(from, to, notification),
      dial: (from, to, link) => void this.#dials.push({ from, to, link }),
      otherEnd: (from, link) => this.#otherEnd(from, link)?.server,
      send: (from, link, message) => this.#send(from, link, toPacket(message)),
      sendSnapshot: (from, id, contents) => {
        const link = this.#linkOf(from, id);
        const to = this.#otherEnd(from, id)?.server;
        if (link !== undefined && to !== undefined) this.#put({ kind: 'snapshot', from, to, link, contents });
      },
      close: (from, id) => {
        const link = this.#linkOf(from, id);
        if (link !== undefined) this.#end(from, link);
      },
    };
  }

  // --- servers ----------------------------------------------------------------------------------------------------------

  /** All of them are there before the first one says a word. */
  start(ids: readonly ServerId[]): void {
    for (const id of ids) this.server(id).boot();
    for (const id of ids) this.#begin(id);
  }

  #begin(id: ServerId): void {
    this.server(id).start();
    for (const flight of this.#lastVotes.values()) {
      if (flight.kind !== 'vote' || flight.to !== id || this.#flights.includes(flight)) continue;
      this.tell(`${flight.from} -> ${id}: ${voteText(readNotification(flight.bytes))}, again`);
      this.#put(flight);
    }
  }

  /** Its streams end behind what it has sent. */
  end(id: ServerId, losesPower: boolean): void {
    const server = this.server(id);
    if (!server.isRunning) throw new Error(`server ${id} doesn't run`);
    server.end({ losesPower });
    for (const link of [...this.#links]) {
      if (link.learner.server === id || link.leader.server === id) this.#end(id, link);
    }
    this.#flights = this.#flights.filter(({ to }) => to !== id);
    for (const way of [...this.#lastVotes.keys()]) if (way.startsWith(`${id}>`)) this.#lastVotes.delete(way);
    for (const other of this.#servers.values()) {
      if (other.isRunning) this.#flights.push({ kind: 'unreachable', from: id, to: other.id });
    }
    for (const dial of this.#dials.filter(({ from }) => from === id)) this.#dials.splice(this.#dials.indexOf(dial), 1);
  }

  // --- the ways between them ----------------------------------------------------------------------------------------------

  #notify(from: ServerId, to: ServerId, notification: Notification): void {
    const flight: Flight = { kind: 'vote', from, to, bytes: writeNotification(notification) };
    this.#lastVotes.set(`${from}>${to}`, flight);
    this.#put(flight);
  }

  #put(flight: Flight): void {
    if (this.server(flight.to).isRunning) this.#flights.push(flight);
  }

  #linkOf(server: ServerId, id: LinkId): Link | undefined {
    return [...this.#links].find(({ learner, leader }) =>
      [learner, leader].some((end) => end.server === server && end.link === id),
    );
  }

  #otherEnd(server: ServerId, id: LinkId): End | undefined {
    const link = this.#linkOf(server, id);
    if (link === undefined) return undefined;
    return link.learner.server === server && link.learner.link === id ? link.leader : link.learner;
  }

  #send(from: ServerId, id: LinkId, packet: QuorumPacket): void {
    const link = this.#linkOf(from, id);
    const to = this.#otherEnd(from, id)?.server;
    if (link !== undefined && to !== undefined) this.#put({ kind: 'packet', from, to, link, packet });
  }

  /** One side is gone; the other one hears of it behind what was sent before. */
  #end(from: ServerId, link: Link): void {
    this.#links.delete(link);
    const to = link.learner.server === from ? link.leader.server : link.learner.server;
    this.#flights = this.#flights.filter((flight) => !('link' in flight) || flight.link !== link || flight.to === to);
    this.#put({ kind: 'end', from, to, link });
  }

  /** Cuts the wire: what was on it is lost, and both sides notice. */
  cut(a: ServerId, b: ServerId): void {
    const cut = [...this.#links].filter(({ learner, leader }) =>
      [learner.server, leader.server].every((id) => id === a || id === b),
    );
    if (cut.length === 0) throw new Error(`there is no link between ${a} and ${b}`);
    for (const link of cut) {
      this.#links.delete(link);
      this.#flights = this.#flights.filter((flight) => !('link' in flight) || flight.link !== link);
      for (const { server, link: id } of [link.learner, link.leader]) {
        if (id !== undefined && this.server(server).isRunning) this.server(server).onLinkClosed(id);
      }
    }
  }

  /** The leader's port takes the connection that a running learner asks for. */
  accept(leader: ServerId, learner: ServerId): void {
    const { link } = this.#takeDial(learner, leader);
    const server = this.server(leader);
    const id = server.isRunning ? server.peer.nextLink() : undefined;
    this.#links.add({ learner: { server: learner, link }, leader: { server: leader, link: id } });
    this.server(learner).step({ kind: 'linkOpened', link });
  }

  refuse(leader: ServerId, learner: ServerId): void {
    const { link } = this.#takeDial(learner, leader);
    this.server(learner).step({ kind: 'linkClosed', link });
  }

  /** A server that the script speaks for comes to a leader. */
  connect(learner: ServerId, leader: ServerId): void {
    const id = this.server(leader).peer.nextLink();
    this.#links.add({ learner: { server: learner, link: undefined }, leader: { server: leader, link: id } });
  }

  #takeDial(from: ServerId, to: ServerId): Dial {
    const index = this.#dials.findIndex((dial) => dial.from === from && dial.to === to);
    const [dial] = index === -1 ? [] : this.#dials.splice(index, 1);
    if (dial === undefined) throw new Error(`server ${from} has not dialled ${to}`);
    return dial;
  }

  /** What the script says for a server that doesn't run arrives at once. */
  speak(from: ServerId, to: ServerId, text: string): void {
    if (this.server(from).isRunning) throw new Error(`server ${from} speaks for itself`);
    const vote = toVote(text);
    if (vote !== undefined) return this.#arrive({ kind: 'vote', from, to, bytes: writeNotification(vote) });
    const link = [...this.#links].findLast(({ learner, leader }) =>
      [learner.server, leader.server].every((id) => id === from || id === to),
    );
    if (link === undefined) throw new Error(`there is no link between ${from} and ${to}`);
    const flight: Flight =
      text === 'the snapshot'
        ? { kind: 'snapshot', from, to, link, contents: [] }
        : { kind: 'packet', from, to, link, packet: toPacketOf(text) };
    this.#arrive(flight);
  }

  /** @throws Error when nothing is on that way */
  deliver(from: ServerId, to: ServerId): void {
    this.#arrive(this.#take(from, to));
  }

  deliverAll(from: ServerId, to: ServerId): void {
    while (this.#flights.some((each) => each.from === from && each.to === to)) this.deliver(from, to);
  }

  /** Votes only: what is on a stream is lost with the stream. */
  drop(from: ServerId, to: ServerId): void {
    const { kind } = this.#take(from, to);
    if (kind !== 'vote') throw new Error(`what comes next from ${from} to ${to} is on a stream: cut that`);
  }

  #take(from: ServerId, to: ServerId): Flight {
    const index = this.#flights.findIndex((each) => each.from === from && each.to === to);
    const [flight] = index === -1 ? [] : this.#flights.splice(index, 1);
    if (flight === undefined) throw new Error(`nothing is on its way from ${from} to ${to}`);
    return flight;
  }

  #arrive(flight: Flight): void {
    const server = this.server(flight.to);
    if (flight.kind === 'vote') {
      return server.step({ kind: 'notification', from: flight.from, notification: readNotification(flight.bytes) });
    }
    if (flight.kind === 'unreachable') return server.step({ kind: 'unreachable', server: flight.from });
    const { learner, leader } = flight.link;
    const end = learner.server === flight.to ? learner : leader;
    if (end.link === undefined) throw new Error(`server ${flight.to} does not run`);
    switch (flight.kind) {
      case 'packet':
        return this.#read(flight.packet, server, end.link, end === learner ? 'leader' : 'learner');
      case 'snapshot':
        return server.onSnapshot(end.link, flight.contents);
      case 'end':
        return server.onLinkClosed(end.link);
    }
  }

  /** As the stream does: what can't be read ends it. */
  #read(packet: QuorumPacket, server: TranscriptServer, link: LinkId, sender: 'leader' | 'learner'): void {
    try {
      server.onMessage(link, toMessage(packet, sender));
    } catch (error) {
      if (!(error instanceof MarshallingError)) throw error;
      server.hangUp(link, `unreadable: ${error.message}`);
    }
  }

  // --- time -------------------------------------------------------------------------------------------------------------

  hold(what: string): void {
    this.#held.add(what);
  }

  release(what: string): void {
    if (!this.#held.delete(what)) throw new Error(`"${what}" is not held`);
  }

  /** Time passes, and nothing else: servers notice. */
  wait(ms: number): void {
    this.#passTime(this.#now + ms, () => undefined);
  }

  /** Everything that can happen does, without delay; time passes only when nothing else is left to do. */
  run(ms: number): void {
    this.#passTime(this.#now + ms, () => {
      for (let steps = 0; this.#advance(); steps++) this.#requireFewer(steps);
    });
  }

  #passTime(until: number, settle: () => void): void {
    settle();
    for (let steps = 0; ; steps++) {
      this.#requireFewer(steps);
      const next = [...this.#servers.values()].reduce((a, b) => (b.deadline < a.deadline ? b : a));
      if (next.deadline > until) break;
      this.#now = Math.max(this.#now, next.deadline);
      next.step({ kind: 'tick' });
      settle();
    }
    this.#now = until;
  }

  #requireFewer(steps: number): void {
    if (steps > STEPS_MAX) throw new Error('it goes round in circles');
  }

  /** One thing that waits is done: disks first, then connections, then what is on its way. @returns whether there was one */
  #advance(): boolean {
    for (const server of this.#servers.values()) {
      const { id } = server;
      if (server.hasToSync && !this.#held.has(`fsync ${id}`)) server.syncLog();
      else if (server.hasToSave && !this.#held.has(`save ${id}`)) server.saveEpoch();
      else if (server.hasToFeed && !this.#held.has(`feed ${id}`)) server.feed();
      else if (server.hasToChange && !this.#held.has(`change ${id}`)) server.changeHistory();
      else continue;
      return true;
    }
    const dial = this.#dials.find(({ to }) => this.server(to).hasRun);
    if (dial !== undefined) {
      if (this.server(dial.to).isRunning) this.accept(dial.to, dial.from);
      else this.refuse(dial.to, dial.from);
      return true;
    }
    const flight = this.#flights.find(({ from, to }) => !this.#held.has(`${from} -> ${to}`));
    if (flight !== undefined) this.deliver(flight.from, flight.to);
    return flight !== undefined;
  }
}
