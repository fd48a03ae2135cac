import path from 'node:path';
import { toGodwitError } from '../../../errors.ts';
import { refusal, type NamedCheck } from '../../../migration/preflight/check.ts';
import { checkSocketPath } from '../../../protocol/socket-path.ts';
import type { GuestSpec } from '../spec/schema.ts';

/**
 * Refuses a guest whose socket paths would be too long in its directory: QEMU would fail only after everything
 * is prepared.
 */
export function socketChecks(spec: GuestSpec, guestDir: string): NamedCheck[] {
  const backends = [...spec.chardevs, ...spec.ports].map(({ backend }) => backend);
  const sockets = backends.flatMap((each) => (each.kind === 'socket' ? [each.name] : []));
  for (const name of [...spec.monitors.map((each) => each.name), ...sockets]) {
    try {
      checkSocketPath(path.join(guestDir, name));
    } catch (thrown) {
      return [refusal('devices', toGodwitError(thrown), 'destination')];
    }
  }
  return [];
}
