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

  test('keeps nothing of what is done', async () => {
    const { end, order, work } = setUp();
    expect(order.isIdle).toBe(true);
    void order.run('a', work('a'));
    void order.run('#', work('#'));
    expect([...order.channels]).toEqual(['a', '#']);
    await end('a');
    await end('#');
    expect(order.isIdle).toBe(true);
  });
});
