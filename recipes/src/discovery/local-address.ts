/** The address by which others can reach this machine: an adapter of the machine, which decides as Curator's `getAllLocalIPs` does. */
import { networkInterfaces } from 'node:os';

/**
 * The first one that is neither a loopback nor a link-local address; undefined if there is none. (Curator takes such an address of a
 * point-to-point link too; Node doesn't say which links are.)
 */
export function localAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return addresses.find(({ internal, address }) => !internal && !isLinkLocal(address))?.address;
}

/** 169.254.0.0/16 and fe80::/10. */
const isLinkLocal = (address: string): boolean => /^(169\.254\.|fe[89ab])/i.test(address);
