/** The licences under which a part may be in a package. A further one is a decision: it needs a reason in the commit. */
export const ALLOWED_LICENCES: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  // Of a font alone: it may not be sold by itself.
  'OFL-1.1',
]);

export interface LicensedPart {
  readonly name: string;
  /** An SPDX expression, as package.json has it. */
  readonly license: string | undefined;
}

/** The parts that a package may not have, each with its licence. */
export function refusedParts(parts: readonly LicensedPart[]): string[] {
  return parts
    .filter(({ license }) => license === undefined || !isAllowed(license))
    .map(({ name, license }) => `${name}: ${license ?? 'no licence is named'}`);
}

/** Of `A OR B` one is chosen; `A AND B` and `A WITH B` count as a whole. */
function isAllowed(expression: string): boolean {
  const plain = expression.trim().replace(/^\((.*)\)$/, '$1');
  return plain
    .split(/ OR /)
    .some((choice) => choice.split(/ AND /).every((each) => ALLOWED_LICENCES.has(each.trim())));
}
