import { describe, expect, it } from 'vitest';
import { InvalidArgumentError, NoAuthError } from 'zookeeper-client-ts';
import { settle } from './fake-client.fixture.ts';
import { GroupMember } from './group-member.ts';
import { RecipeStateError } from './recipe-state.ts';
import { created, current, deleted, script, synced, znode } from './scripted-tree.fixture.ts';
import { json, string } from './serializer.ts';

function memberOf() {
  const scripted = script();
  const member = new GroupMember(scripted.framework, '/a', 'me', { data: 'mine', serializer: string });
  const seen: string[] = [];
  member.on('membersChanged', (members) => seen.push([...members].map((each) => each.join('=')).join(' ')));
  member.on('error', (error) => seen.push(`error ${(error as Error).name}`));
  return { scripted, member, seen };
}

describe('GroupMember', () => {
  it('is among the members while its znode is not shown, and tells nothing before it has joined', async () => {
    const { scripted, member, seen } = memberOf();
    expect([...member.getCurrentMembers()]).toEqual([['me', 'mine']]);
    const starting = member.start();
    await settle();
    await scripted.stream.tell(current(znode('/a')), current(znode('/a/other', 'theirs')));
    expect(seen).toEqual([]);
    await scripted.stream.tell(synced);
    expect(await starting).toBe(member);
    expect([...member.getCurrentMembers()]).toEqual([
      ['me', 'mine'],
      ['other', 'theirs'],
    ]);
    await scripted.stream.tell(created(znode('/a/late', 'x')), deleted(znode('/a/other', 'theirs')));
    expect(seen).toEqual(['late=x me=mine other=theirs', 'late=x me=mine']);
    await member.close();
    expect(scripted.stream.isEnded).toBe(true);
    expect(scripted.client.requests.at(-1)).toBe('delete /a/me');
  });

  it('says itself what it was told, before the servers have it', async () => {
    const { scripted, member } = memberOf();
    const starting = member.start();
    await settle();
    await scripted.stream.tell(current(znode('/a')), current(znode('/a/me', 'mine')), synced);
    await starting;
    scripted.client.enter('SUSPENDED');
    void member.setThisData('newer');
    expect(member.getCurrentMembers().get('me')).toBe('newer');
    await member.close();
  });

  it('keeps a member who says what can not be read, and tells the error', async () => {
    const scripted = script();
    const member = new GroupMember(scripted.framework, '/a', 'me', { data: 1, serializer: json<number>() });
    const errors: unknown[] = [];
    member.on('error', (error) => errors.push(error));
    const starting = member.start();
    await settle();
    await scripted.stream.tell(current(znode('/a')), current(znode('/a/odd', '{')), synced);
    await starting;
    expect([...member.getCurrentMembers()]).toEqual([
      ['me', 1],
      ['odd', undefined],
    ]);
    expect(errors).toEqual([expect.objectContaining({ code: 'DESERIALIZATION', path: '/a/odd' })]);
    await member.close();
  });

  it('refused, it has not joined, and has left', async () => {
    const { scripted, member, seen } = memberOf();
    const starting = member.start();
    await settle();
    await scripted.stream.fail(new NoAuthError('no', { path: '/a' }));
    await expect(starting).rejects.toThrow(NoAuthError);
    expect(seen).toEqual(['error NoAuthError']);
    expect(member.state).toBe('CLOSED');
    expect(scripted.client.requests.at(-1)).toBe('delete /a/me');
  });

  it('refuses wrong use', async () => {
    const { scripted, member } = memberOf();
    expect(() => new GroupMember(scripted.framework, '/a', 'b/c')).toThrow(InvalidArgumentError);
    const starting = member.start();
    expect(() => member.start()).toThrow(RecipeStateError);
    await member.close();
    await expect(starting).rejects.toThrow(RecipeStateError);
  });
});
