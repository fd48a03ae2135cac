/** For `catch`: passes over errors of the system by these codes (`ENOENT`), and throws any other again. */
export function ignoring(...codes: readonly string[]): (thrown: unknown) => undefined {
  return (thrown) => {
    if (!codes.includes((thrown as NodeJS.ErrnoException).code ?? '')) throw thrown;
  };
}

/** The same of what is not there. */
export const absent = ignoring('ENOENT', 'ENOTDIR');
