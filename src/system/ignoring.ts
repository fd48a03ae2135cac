/** Ignores system errors with these codes (`ENOENT`), and throws any other again. */
export function ignoring(...codes: readonly string[]): (thrown: unknown) => undefined {
  return (thrown) => {
    if (!codes.includes((thrown as NodeJS.ErrnoException).code ?? '')) throw thrown;
  };
}

export const absent = ignoring('ENOENT', 'ENOTDIR');
