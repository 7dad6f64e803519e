/** Line provider: which line the hooks below it use. */
import type { Line } from '@trunkline/client/core';
import { createContext, createElement, useContext } from 'react';
import type { ReactElement, ReactNode } from 'react';

/** `null` where there is no provider. */
const LineContext = createContext<Line | undefined | null>(null);

/** What a {@link LineProvider} takes. */
export interface LineProviderProps {
  /**
   * Made once, outside of components. `undefined` where pages are rendered on a server: the hooks
   * then say that nothing has come yet.
   */
  readonly line: Line | undefined;
  readonly children?: ReactNode;
}

/** Gives its line to all components in it. It neither opens nor closes the line. */
export function LineProvider({ line, children }: LineProviderProps): ReactElement {
  return createElement(LineContext.Provider, { value: line }, children);
}

/** The line of the provider above. @throws {Error} where there is none. */
export function useLine(): Line {
  const line = useGivenLine(true);
  if (line === undefined) throw new Error('the LineProvider has no line here');
  return line;
}

/**
 * As {@link useLine}, but `undefined` where the provider has no line, or where it is not needed and
 * there is no provider.
 */
export function useGivenLine(isNeeded: boolean): Line | undefined {
  const line = useContext(LineContext);
  if (line === null && isNeeded) throw new Error('expected a LineProvider around this component');
  return line ?? undefined;
}
