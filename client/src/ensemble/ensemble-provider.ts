/**
 * Where a client gets its connect string from (Curator's `EnsembleProvider`). It is asked for each new session, and after every
 * change of the connection: an ensemble may have moved.
 */
import { parseConnectString } from '../session/connect-string.ts';

export interface EnsembleProvider {
  /** Called when the client is started, before anything else. */
  start?(): void;
  /** Called when the client is closed. */
  close?(): void;
  getConnectionString(): string;
  /** Told by the ensemble tracker of what the ensemble says of itself. */
  setConnectionString(connectString: string): void;
  /** Whether a session may go on with another list of servers; else it is given up for a new one. */
  updateServerListEnabled(): boolean;
}

/** A connect string that changes only by the ensemble tracker's hand. */
export class FixedEnsembleProvider implements EnsembleProvider {
  readonly #updateServerList: boolean;
  #connectString: string;

  /** @throws InvalidConnectStringError */
  constructor(connectString: string, { updateServerList = true }: { readonly updateServerList?: boolean } = {}) {
    parseConnectString(connectString);
    this.#connectString = connectString;
    this.#updateServerList = updateServerList;
  }

  getConnectionString(): string {
    return this.#connectString;
  }

  /** @throws InvalidConnectStringError */
  setConnectionString(connectString: string): void {
    parseConnectString(connectString);
    this.#connectString = connectString;
  }

  updateServerListEnabled(): boolean {
    return this.#updateServerList;
  }
}
