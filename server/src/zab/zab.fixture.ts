import { makeZxid, type ServerId, toEpoch, toServerId, type Zxid } from 'zookeeper-protocol-ts';
import { Ensemble, type Member } from '../ensemble.ts';
import type { LinkId, Output } from './contract.ts';
import type { QuorumMessage } from './messages.ts';
import type { Proposal } from './proposal.ts';

export const TIMING = { tickTimeMs: 100, initLimit: 10, syncLimit: 5 };

/** Links and servers have the same numbers in these tests. */
export const link = (number: number): LinkId => number as LinkId;
export const server = (number: number): ServerId => toServerId(number);
export const zxid = (epoch: number, counter: number): Zxid => makeZxid(toEpoch(epoch), counter);
export const proposal = (epoch: number, counter: number): Proposal => ({
  zxid: zxid(epoch, counter),
  bytes: Buffer.from(`${epoch}/${counter}`),
});

/** Voters 1 to `voters`, and observers behind them. */
export function ensembleOf(voters: number, observers = 0): Ensemble {
  const address = { host: 'localhost', port: 1 };
  const members = Array.from({ length: voters + observers }, (_, index): Member => {
    const type = index < voters ? 'participant' : 'observer';
    return { id: toServerId(index + 1), type, quorumAddress: address, electionAddress: address };
  });
  return new Ensemble({ members });
}

/** What is said on a link, in order. */
export const saidOn = (outputs: readonly Output[], to: number): QuorumMessage[] =>
  outputs.flatMap((output) => (output.kind === 'send' && output.link === to ? [output.message] : []));

export const kindsOf = (outputs: readonly { readonly kind: string }[]): string[] => outputs.map(({ kind }) => kind);
