/**
 * A scenario: what some clients do to a server, written down line by line. It runs on both servers, from the same start: a root of its
 * own, and zxids counted from there. It must end within a few seconds and leave no session behind.
 */
import type { ConnectRequest } from 'zookeeper-protocol-ts';
import { OPEN_ACL } from 'zookeeper-protocol-ts';
import { Client, type Line, type Setting } from './client.ts';
import type { ServerUnderTest } from './server-pair.ts';
import { Words } from './words.ts';

export interface Scenario {
  readonly name: string;
  readonly run: (stage: Stage) => Promise<void>;
}

/** One run of a scenario on one server. */
export class Stage {
  /** The scenario's own znode, open to all. */
  readonly root: string;
  readonly #server: ServerUnderTest;
  readonly #setting: Setting;
  readonly #clients: Client[] = [];

  private constructor(root: string, server: ServerUnderTest, setting: Setting) {
    this.root = root;
    this.#server = server;
    this.#setting = setting;
  }

  /** Runs a scenario and returns its transcript. */
  static async run(
    scenario: Scenario,
    { server, root }: { server: ServerUnderTest; root: string },
  ): Promise<readonly Line[]> {
    const setting: Setting = { port: server.port, words: new Words(root), lines: [], ended: new Set() };
    const builder = await (await Client.open('builder', setting)).connect();
    await builder.do('create', { path: root, data: null, acl: OPEN_ACL, flags: 0 });
    await builder.closeSession();
    setting.words.startAt(builder.lastZxid);
    setting.lines.length = 0;
    const stage = new Stage(root, server, setting);
    try {
      await scenario.run(stage);
      await stage.#leave();
    } finally {
      for (const client of stage.#clients) await client.drop();
    }
    return setting.lines;
  }

  get port(): number {
    return this.#server.port;
  }

  /** Restarts the server; connections end, sessions stay. */
  restart(): Promise<void> {
    return this.#server.restart();
  }

  /** A new connection; the clients are named A, B, … in this order. */
  async open(name = String.fromCharCode(65 + this.#clients.length)): Promise<Client> {
    const client = await Client.open(name, this.#setting);
    this.#clients.push(client);
    return client;
  }

  /** A new connection with a session on it. */
  async connect(request: Partial<ConnectRequest> = {}): Promise<Client> {
    return (await this.open()).connect(request);
  }

  /** A new connection of a client that has a session. */
  async reattach(client: Client, request: Partial<ConnectRequest> = {}): Promise<Client> {
    const { name, sessionId, password } = client;
    return (await this.open(`${name}'`)).connect({ sessionId, password, ...request });
  }

  /** Goes on with another connection where the server has closed this one. */
  async alive(client: Client): Promise<Client> {
    return client.isClosed ? this.connect() : client;
  }

  note(step: string, outcome: string): void {
    this.#setting.lines.push({ step, outcome });
  }

  /** Ends every session, so that none expires in the middle of a later scenario. */
  async #leave(): Promise<void> {
    for (const client of this.#clients) {
      if (client.sessionId === 0n) continue;
      if (!client.isClosed) await client.closeSession();
    }
    const { length } = this.#setting.lines;
    for (const client of [...this.#clients]) {
      if (client.sessionId === 0n || this.#setting.ended.has(client.sessionId)) continue;
      const heir = await this.reattach(client);
      if (!heir.isClosed && heir.sessionId !== 0n) await heir.closeSession();
      else await heir.drop();
    }
    // Whether the sessions were still there is their own scenarios' affair.
    this.#setting.lines.length = length;
  }
}
