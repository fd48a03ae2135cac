import type { AgentConfig } from '../../config.ts';
import { withShare } from '../../migration/prediction/link-share.ts';
import { asItBegins } from '../../migration/steering/timetable.ts';
import type { ManagedMoverRequest } from '../../protocol/mover/request.ts';
import { migrationSettings, type MigrationSettings } from '../../protocol/public/migration.ts';

/**
 * Effective settings with one cap for the whole migration: the lowest of the request, the share of the link, and the
 * host's cap at the start. `keepsCap`: the sender keeps a cap.
 */
export function managedSettings(
  { request, linkShareBandwidth, createdAt }: ManagedMoverRequest,
  { bandwidth }: Pick<AgentConfig['limits'], 'bandwidth'>,
  keepsCap: boolean,
): MigrationSettings {
  const settings = withShare(migrationSettings.parse(request), linkShareBandwidth);
  if (!keepsCap) return settings;
  return asItBegins(settings, bandwidth, Date.parse(createdAt));
}
