/** The entry of a thread of the log: it answers one group of calls after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { systemRandom } from '../../random.ts';
import { packChanged, packOutcomes, packSlice, unpackOperations } from './packing.ts';
import type { Packed } from './packing.ts';
import { backUp } from './sqlite-backup.ts';
import type { Answer, AnswerGroup, Call, CallGroup, ThreadSetup } from './sqlite-calls.ts';
import { toBrokerError } from './errors.ts';
import { SqliteLog } from './sqlite-log.ts';

const setup = workerData as ThreadSetup;
const log = new SqliteLog({ ...setup, random: systemRandom });

parentPort?.on('message', ({ id, calls }: CallGroup) => {
  const buffers: ArrayBuffer[] = [];
  const answers = calls.map((call) => answer(call, buffers));
  const group: AnswerGroup = { id, answers };
  parentPort?.postMessage(group, buffers);
});

function answer(call: Call, buffers: ArrayBuffer[]): Answer {
  try {
    return { ok: true, value: run(call, buffers) };
  } catch (error) {
    const { kind, message, stored } = toBrokerError(error, 'unknown');
    return { ok: false, kind, message, stored };
  }
}

function run(call: Call, buffers: ArrayBuffer[]): unknown {
  switch (call.name) {
    case 'open':
      return log.open();
    case 'attach':
      return log.attach({ owns: call.role === 'writer' });
    case 'commit':
      return packOutcomes(log.commit(unpackOperations(call.operations), call.nowMs));
    case 'sweep':
      return log.sweep(call.nowMs);
    case 'checkpoint':
      return log.checkpoint(call.mode);
    case 'read':
      return transferred(packSlice(log.read(call.channel, call.range, call.nowMs)), buffers);
    case 'changedMatching': {
      const found = log.changedMatching(call.place, call.patterns, call.cursor, call.nowMs);
      return found && { channels: packChanged(found.channels), next: found.next };
    }
    case 'changedNamed': {
      const changed = log.changedNamed(call.place, call.names, call.nowMs);
      return changed && packChanged(changed);
    }
    case 'get':
      return log.get(call.key, call.nowMs);
    case 'list':
      return log.list(call.prefix, call.after, call.countMax, call.nowMs);
    case 'backup':
      return backUp(setup.path, call.target);
    case 'close':
      return log.close();
  }
}

function transferred(packed: Packed, buffers: ArrayBuffer[]): Packed {
  buffers.push(packed.bytes.buffer);
  return packed;
}
