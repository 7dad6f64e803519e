import { Capacity } from '@trunkline/server/internal/http/capacity.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { expect, test } from 'vitest';

function create(connectionsMax: number, connectionsPerAddressMax: number) {
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) };
  return { capacity: new Capacity({ connectionsMax, connectionsPerAddressMax }, log), warnings };
}

test('a server that is full has room again when somebody leaves', () => {
  const { capacity } = create(2, 2);
  expect(capacity.enter('a')).toBeUndefined();
  expect(capacity.enter('b')).toBeUndefined();
  expect(capacity.enter('c')).toBe('server');
  expect(capacity.count).toBe(2);
  capacity.leave('a');
  expect(capacity.enter('c')).toBeUndefined();
});

test('an address that has its share leaves room for others', () => {
  const { capacity } = create(10, 1);
  expect(capacity.enter('a')).toBeUndefined();
  expect(capacity.enter('a')).toBe('address');
  expect(capacity.enter('b')).toBeUndefined();
  capacity.leave('a');
  expect(capacity.enter('a')).toBeUndefined();
});

test('being full is one line in the log until there is room for a while', () => {
  const { capacity, warnings } = create(20, 100);
  const fill = (): void => {
    while (capacity.enter('a') === undefined);
  };
  fill();
  capacity.leave('a');
  fill();
  expect(warnings).toHaveLength(1);
  for (let left = 0; left < 5; left += 1) capacity.leave('a');
  fill();
  expect(warnings).toHaveLength(2);
});
