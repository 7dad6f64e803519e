import {
  filterFault,
  hasWildcard,
  isShared,
  parseShared,
  sharedFilterFault,
} from '@trunkline/server/internal/protocols/mqtt/codec/topics.ts';
import { describe, expect, test } from 'vitest';

describe('topic filters', () => {
  test.each(['#', '+', '/', 'a', 'a/#', '/#', '+/#', '+/+', '/+', 'a/+/b', '$SYS/#', '$share'])(
    '[MQTT4-4.7.1-2] [MQTT4-4.7.1-3] [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] %s is well-formed',
    (filter) => {
      expect(filterFault(filter)).toBeUndefined();
      expect(sharedFilterFault(filter)).toBeUndefined();
    },
  );

  test.each([
    ['', 'emptyFilter'],
    ['a#', 'multiLevelWildcard'],
    ['#/', 'multiLevelWildcard'],
    ['#/#', 'multiLevelWildcard'],
    ['a/#b', 'multiLevelWildcard'],
    ['+a', 'singleLevelWildcard'],
    ['a+', 'singleLevelWildcard'],
    ['+/b+', 'singleLevelWildcard'],
    ['++', 'singleLevelWildcard'],
  ])(
    '[MQTT4-4.7.1-2] [MQTT4-4.7.1-3] [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] "%s" is refused',
    (filter, fault) => {
      expect(filterFault(filter)?.fault).toBe(fault);
      expect(sharedFilterFault(`$share/group/${filter}`)?.fault).toBe(
        fault === 'emptyFilter' ? 'shareFilter' : fault,
      );
    },
  );

  test('[MQTT-4.8.2-1] a shared filter names its group and a filter', () => {
    expect(parseShared('$share/g/a/+')).toEqual({ group: 'g', filter: 'a/+' });
    expect(parseShared('$share/g//')).toEqual({ group: 'g', filter: '/' });
    expect(parseShared('$shared/g/a')).toBeUndefined();
    expect(isShared('$share')).toBe(false);
  });

  test('[MQTT-3.3.2-2] a name with a wildcard is none', () => {
    expect(['a/b', 'a+', '#'].map(hasWildcard)).toEqual([false, true, true]);
  });
});
