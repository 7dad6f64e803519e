import { describe, expect, test } from 'vitest';
import { CommandOrder } from '../../../src/protocols/native/command-order.ts';

function setUp() {
  const order = new CommandOrder();
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const work = (name: string) => (): Promise<void> => {
    begun.push(name);
    return new Promise((resolve, reject) => {
      ends.set(name, (error) => (error === undefined ? resolve() : reject(error)));
    });
  };
  const end = async (name: string, error?: Error): Promise<void> => {
    ends.get(name)?.(error);
    for (let tick = 0; tick < 10; tick += 1) await Promise.resolve();
  };
  return { begun, end, order, work };
}

describe('the order of commands', () => {
  test('is that of their coming in one channel, and none between channels', async () => {
    const { begun, end, order, work } = setUp();
    void order.run('a', work('a1'));
    void order.run('a', work('a2'));
    void order.run('b', work('b1'));
    expect(begun).toEqual(['a1', 'b1']);
    await end('a1');
    expect(begun).toEqual(['a1', 'b1', 'a2']);
  });

  test('puts a pattern behind everything before it, and everything after behind it', async () => {
    const { begun, end, order, work } = setUp();
    void order.run('a', work('a'));
    void order.run('b', work('b'));
    void order.run('#', work('#'));
    void order.run('c', work('c'));
    void order.run('+/x', work('+/x'));
    await end('a');
    expect(begun).toEqual(['a', 'b']);
    await end('b');
    expect(begun).toEqual(['a', 'b', '#']);
    await end('#');
    expect(begun).toEqual(['a', 'b', '#', 'c']);
    await end('c');
    expect(begun).toEqual(['a', 'b', '#', 'c', '+/x']);
  });

  test('goes on after a failure, which is told to who asked', async () => {
    const { begun, end, order, work } = setUp();
    const failures: unknown[] = [];
    void order.run('#', work('#')).catch((error: unknown) => failures.push(error));
    void order.run('a', work('a'));
    await end('#', new Error('no'));
    expect(failures).toEqual([new Error('no')]);
    expect(begun).toEqual(['#', 'a']);
  });

  test('lets nobody wait for what is only done behind others', async () => {
    const { begun, end, order, work } = setUp();
    void order.run('a', work('a1'));
    void order.behind('a', work('publish'));
    void order.run('a', work('a2'));
    await end('a1');
    expect(begun.toSorted()).toEqual(['a1', 'a2', 'publish']);
  });

  test('begins what is done behind others as it came, whatever has ended meanwhile [GUA-2]', async () => {
    const { begun, end, order, work } = setUp();
    void order.run('a', work('a'));
    void order.run('#', work('#'));
    void order.behind('a', work('first'));
    await end('a');
    void order.behind('a', work('second'));
    await end('#');
    expect(begun).toEqual(['a', '#', 'first', 'second']);
  });

  test('puts what is asked behind a pattern behind that alone', async () => {
    const { begun, end, order, work } = setUp();
    void order.run('#', work('#'));
    void order.run('a', work('a'));
    void order.behind('a', work('behind a'));
    void order.behind('b', work('behind #'));
    await end('#');
    expect(begun).toEqual(['#', 'a', 'behind #']);
    await end('a');
    expect(begun).toEqual(['#', 'a', 'behind #', 'behind a']);
  });

  test('is that of their coming for one number apart, and none beyond [APART-4]', async () => {
    const { begun, end, order, work } = setUp();
    const failures: unknown[] = [];
    void order.runApart(1, work('1')).catch((error: unknown) => failures.push(error));
    void order.runApart(1, work('1 again'));
    void order.runApart(2, work('2'));
    void order.run('a', work('a'));
    void order.run('#', work('#'));
    expect(begun).toEqual(['1', '2', 'a']);
    await end('a');
    expect(begun).toEqual(['1', '2', 'a', '#']);
    await end('1', new Error('no'));
    expect(begun).toEqual(['1', '2', 'a', '#', '1 again']);
    expect(failures).toEqual([new Error('no')]);
  });

  test('begins what is done behind others behind those apart, as it came [GUA-2]', async () => {
    const { begun, end, order, work } = setUp();
    void order.behind('a', work('before'));
    void order.run('a', work('a'));
    void order.behind('a', work('behind a'));
    void order.runApart(1, work('1'));
    void order.behind('a', work('behind both'));
    void order.behind('b', work('behind 1'));
    void order.runApart(2, work('2'));
    expect(begun).toEqual(['before', 'a', '1', '2']);
    await end('1');
    expect(begun).toEqual(['before', 'a', '1', '2']);
    await end('a');
    expect(begun.slice(4)).toEqual(['behind a', 'behind both', 'behind 1']);
    void order.behind('a', work('last'));
    expect(begun).toHaveLength(7);
    await end('2');
    expect(begun.at(-1)).toBe('last');
  });

  test('lets nobody overtake who comes while those apart end [GUA-2]', async () => {
    for (let ticks = 0; ticks < 12; ticks += 1) {
      const { begun, end, order, work } = setUp();
      void order.runApart(1, work('1'));
      void order.run('a', work('a'));
      void order.behind('a', work('first'));
      const ended = [end('1'), end('a')];
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      void order.behind('a', work('second'));
      await Promise.all(ended);
      expect(begun, String(ticks)).toEqual(['1', 'a', 'first', 'second']);
    }
  });

  test('keeps nothing of what is done', async () => {
    const { end, order, work } = setUp();
    expect(order.isIdle).toBe(true);
    void order.run('a', work('a'));
    void order.run('#', work('#'));
    void order.runApart(7, work('7'));
    expect([...order.channels]).toEqual(['a', '#']);
    expect([...order.numbers]).toEqual([7]);
    await end('7');
    expect([...order.numbers]).toEqual([]);
    await end('a');
    await end('#');
    expect(order.isIdle).toBe(true);
  });
});
