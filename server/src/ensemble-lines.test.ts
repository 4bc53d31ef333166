import { describe, expect, it } from 'vitest';
import { toServerId } from 'zookeeper-protocol-ts';
import { EnsembleLineError, EnsembleLines } from './ensemble-lines.ts';

const taken = (lines: Record<string, string>): EnsembleLines => {
  const all = new EnsembleLines();
  for (const [key, value] of Object.entries(lines)) all.take(key, value);
  return all;
};

const ensembleOf = (lines: Record<string, string>) => taken(lines).complete({ standaloneEnabled: true });

const THREE = { 'server.1': 'a:1:2', 'server.2': 'b:1:2', 'server.3': 'c:1:2:participant' };
const hasQuorum = (lines: Record<string, string>, ...ids: number[]) =>
  ensembleOf(lines)?.hasQuorum((id) => ids.includes(id));

describe('the lines of an ensemble', () => {
  it('name voters and observers, hosts, addresses in brackets and client ports, and are told again as the original does', () => {
    const lines = { ...THREE, 'server.4': '[::1]:2888:3888:observer;127.0.0.1:2181' };
    expect(ensembleOf(lines)?.text.split('\n')).toEqual([
      'server.1=a:1:2:participant',
      'server.2=b:1:2:participant',
      'server.3=c:1:2:participant',
      'server.4=[::1]:2888:3888:observer;127.0.0.1:2181',
      'version=0',
    ]);
    expect(ensembleOf(lines)?.voters).toEqual([1, 2, 3]);
  });

  it('make a quorum of more than half of the voters, whatever observers say', () => {
    expect(hasQuorum(THREE, 1, 3)).toBe(true);
    expect(hasQuorum({ ...THREE, 'server.4': 'd:1:2:observer' }, 1, 4)).toBe(false);
    expect(hasQuorum({ ...THREE, 'server.4': 'd:1:2' }, 1, 4)).toBe(false);
  });

  it('make a quorum of groups, each by weight; who has none counts for nothing', () => {
    const grouped = {
      ...THREE,
      'server.4': 'd:1:2',
      'group.1': '1:2',
      'group.2': '3',
      'group.3': '4',
      'weight.4': '0',
      'weight.1': '3',
    };
    expect(hasQuorum(grouped, 1, 3)).toBe(true);
    expect(hasQuorum(grouped, 2, 3)).toBe(false);
    expect(hasQuorum(grouped, 1, 4)).toBe(false);
    expect(ensembleOf(grouped)?.weightOf(toServerId(4))).toBe(0);
  });

  it('of one server leave it alone, unless it is to be an ensemble', () => {
    const one = taken({ 'server.1': 'a:1:2' });
    expect(one.complete({ standaloneEnabled: true })).toBeUndefined();
    expect(one.complete({ standaloneEnabled: false })?.isAlone).toBe(false);
  });

  it.each<[string, Record<string, string>]>([
    ['a number that no session id has room for', { 'server.256': 'a:1:2' }],
    ['no number', { 'server.x': 'a:1:2' }],
    ['one port', { 'server.1': 'a:1' }],
    ['a port that is none', { 'server.1': 'a:1:70000' }],
    ['an unknown role', { 'server.1': 'a:1:2:boss' }],
    ['several addresses', { 'server.1': 'a:1:2|b:1:2' }],
    ['a weight that is none', { 'weight.1': 'much' }],
    ['a server in two groups', { 'group.1': '1', 'group.2': '1' }],
    ['a voter in no group', { ...THREE, 'group.1': '1:2' }],
    ['observers only', { 'server.1': 'a:1:2:observer', 'server.2': 'b:1:2:observer' }],
    ['groups without servers', { 'group.1': '1' }],
  ])('are refused with %s', (_, lines) => {
    expect(() => ensembleOf(lines)).toThrow(EnsembleLineError);
  });

  it('are refused with a number twice, and leave other lines to others', () => {
    const lines = taken({ 'server.1': 'a:1:2' });
    expect(() => lines.take('server.1', 'b:1:2')).toThrow('server 1 stands here twice');
    expect(lines.take('tickTime', '2000')).toBe(false);
  });
});
