import { GodwitError, godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';

export class RefusedByChecks extends Error {
  override readonly name = 'RefusedByChecks';
  readonly error: GodwitError;
  readonly checks: readonly Check[];

  constructor(error: GodwitError, checks: readonly Check[]) {
    super(error.message, { cause: error });
    this.error = error;
    this.checks = checks;
  }
}

export function refuseOn(checks: readonly Check[]): void {
  const first = checks.find((check) => check.verdict === 'refuse');
  if (first === undefined) return;
  const reason = `${first.name}: ${first.evidence}`;
  const error =
    first.error === undefined
      ? godwitError('GODWIT_STEP_FAILED', { step: first.name, reason })
      : new GodwitError(first.error);
  throw new RefusedByChecks(error, checks);
}
