/** That a transcript can fail: whoever reads one believes every line of it. */
import { describe, expect, it } from 'vitest';
import { newWorld } from './transcript-commands.fixture.ts';
import { playTranscript, readTranscript, rewriteTranscript, type World } from './transcript-file.fixture.ts';

/** Says as many lines as it is told to: `3` says 1, 2, 3. */
const counting = (): World => ({
  do: (command) => {
    if (!/^\d$/.test(command)) throw new Error(`"${command}" is no command`);
    return Array.from({ length: Number(command) }, (_, i) => String(i + 1));
  },
});

const play = (...lines: string[]): void =>
  playTranscript(readTranscript(['# A title', ...lines].join('\n')), counting());

describe('a transcript', () => {
  it('passes when every line comes, in its order', () => {
    play('', '# A remark', '3', '  1', '  2', '  3', '0', '', '1', '  1');
  });

  it.each([
    ['lacks a line at its end', ['3', '  1', '  2']],
    ['lacks all of them', ['1']],
    ['lacks one in the middle', ['3', '  1', '  3']],
    ['has one too many', ['1', '  1', '  2']],
    ['has them in another order', ['2', '  2', '  1']],
  ])('fails when it %s, and says where', (_, lines) => {
    expect(() => play('', ...lines)).toThrow(/^line 3: \d\nexpected:[\s\S]*\nfound:\n {2}1/);
  });

  it.each([
    ['anything', ['3', '  …']],
    ['nothing', ['1', '  …', '  1']],
    ['what comes before', ['3', '  …', '  3']],
    ['what comes behind', ['3', '  1', '  …']],
    ['what comes between', ['4', '  1', '  …', '  3', '  …']],
    ['the shortest run that fits', ['5', '  …', '  2', '  …', '  4', '  5']],
  ])('leaves open %s where it says so', (_, lines) => {
    play(...lines);
  });

  it.each([
    ['what is not there', ['3', '  …', '  4', '  …']],
    ['the same line twice', ['3', '  …', '  3', '  3']],
    ['another end', ['3', '  …', '  2']],
    ['another beginning', ['3', '  2', '  …']],
    ['another order', ['4', '  …', '  3', '  …', '  2', '  …']],
  ])('fails all the same when it then expects %s', (_, lines) => {
    expect(() => play(...lines)).toThrow('line 2');
  });

  it('names the line of a command that is none', () => {
    expect(() => play('1', '  1', 'dance')).toThrow('line 4: dance: "dance" is no command');
  });

  it.each([
    ['has no title', 'servers 1 2 3'],
    ['has nothing but a title', '# A title\n'],
    ['expects something before there is a command', '# A title\n  1 dials 2'],
    ['expects something behind a blank line', '# A title\n1\n\n  1'],
    ['is indented by one blank', '# A title\n1\n 1'],
  ])('is refused when it %s', (_, text) => {
    expect(() => readTranscript(text)).toThrow();
  });

  it('can not be written anew when what it leaves open does not hold', () => {
    expect(() => rewriteTranscript('# A title\n3\n  …\n  2\n', counting())).toThrow('line 2');
  });

  it('can be written anew, with its remarks, and what it leaves open', () => {
    const text = '# A title\n\n2\n  old\n# A remark\n1\n3\n  1\n  …\n2\n';
    expect(rewriteTranscript(text, counting())).toBe(
      '# A title\n\n2\n  1\n  2\n# A remark\n1\n  1\n3\n  1\n  …\n2\n  1\n  2\n',
    );
  });
});

describe('the world of a transcript', () => {
  const worldOf = (...commands: string[]): World => {
    const world = newWorld();
    for (const command of ['servers 1 2 3', ...commands]) world.do(command);
    return world;
  };

  it.each([
    ['an unknown server', [], 'start 4', 'there is no server 4'],
    ['a server that runs already', ['start 1'], 'start 1', 'server 1 runs already'],
    ['a disk that is in use', ['start 1'], 'disk 1: log 1/1', 'server 1 has a disk of its own by now'],
    ['something that no disk has', [], 'disk 1: blog 1/1', '"blog 1/1" is nothing that a disk has'],
    ['a zxid that is none', [], 'disk 1: log 1-1', '"1-1" is not a zxid: epoch/counter'],
    ['an empty way', ['start 1'], 'deliver 2 -> 1', 'nothing is on its way from 2 to 1'],
    ['a server that does not run', [], 'propose 1 "a"', "server 1 doesn't run"],
    ['words for a server that speaks for itself', ['start 1'], '1 -> 2: ACK 1/1', 'server 1 speaks for itself'],
    ['a packet without a connection', ['start 1'], '2 -> 1: ACK 1/1', 'there is no link between 2 and 1'],
    ['a packet that there is not', ['start 1', '2 connects to 1'], '2 -> 1: NACK 1/1', '"NACK 1/1" is no packet'],
    ['a disk that has nothing to do', ['start 1'], 'fsync 1', 'server 1 has nothing to sync'],
    ['an epoch that is not being written', ['start 1'], 'save 1', 'server 1 has no epoch to save'],
    ['a history that does not change', ['start 1'], 'change 1', 'server 1 has nothing to change'],
    ['a dial that there was not', ['start 1'], '2 accepts 1', 'server 1 has not dialled 2'],
    ['what is not held', [], 'release fsync 1', '"fsync 1" is not held'],
  ])('refuses %s', (_, before, command, message) => {
    const world = worldOf(...before);
    expect(() => world.do(command)).toThrow(message);
  });
});
