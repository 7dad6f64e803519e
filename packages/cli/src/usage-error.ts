/** UsageError: the command was called wrongly. */

/** Ends the command with exit code 2. One line that says what was expected and what came. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
