import { describe, expect, test } from 'vitest';
import { citedClauses, NOT_TESTED, readClauses } from '../../src/clauses.ts';
import { matrixPage } from '../../src/matrix.ts';

const clauses = readClauses().map(({ id }) => id);

describe('every clause', () => {
  test('is tested, or it is said why not', () => {
    const cited = citedClauses();
    const forgotten = clauses.filter((id) => !cited.has(id) && NOT_TESTED[id] === undefined);
    expect(forgotten).toEqual([]);
  });

  test('is not both tested and excused', () => {
    const cited = citedClauses();
    expect(Object.keys(NOT_TESTED).filter((id) => cited.has(id))).toEqual([]);
    expect(Object.keys(NOT_TESTED).filter((id) => !clauses.includes(id))).toEqual([]);
  });
});

describe('the matrix', () => {
  const clause = { id: 'REC-2', page: 'spec/protocol.md', says: 'With `after`, all comes' };
  const result = { ancestorTitles: ['over SSE'], title: '[REC-2] resumes', status: 'passed' };

  test('counts what passed in its cell, and names what failed', () => {
    const failed = { ...result, ancestorTitles: ['over WebSocket, HTTP'], status: 'failed' };
    const page = matrixPage([clause], [result, result, failed]);
    expect(page).toContain(
      '| REC-2 | With `after`, all comes | **1 failed** |  | **1 failed** |  | 2 |  |  |  |  |',
    );
  });

  test('lists clauses without a test', () => {
    expect(matrixPage([clause], [])).toContain('- REC-2: no test cites it');
  });
});
