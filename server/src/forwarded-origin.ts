import type { Id } from 'zookeeper-protocol-ts';
import type { Origin } from './request/request.ts';
import type { LinkId } from './zab/contract.ts';

/** The client of another server, which has forwarded what it asks, and answers it. */
export class ForwardedOrigin implements Origin {
  /** The stream that its server is on. */
  readonly link: LinkId;
  readonly identities: readonly Id[];
  readonly isSuperuser: boolean;

  constructor(link: LinkId, identities: readonly Id[], { skipAcl }: { readonly skipAcl: boolean }) {
    this.link = link;
    this.identities = identities;
    this.isSuperuser = skipAcl || identities.some(({ scheme }) => scheme === 'super');
  }
}
