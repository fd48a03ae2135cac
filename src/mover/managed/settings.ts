import type { AgentConfig } from '../../config.ts';
import { withShare } from '../../migration/prediction/link-share.ts';
import { asItBegins } from '../../migration/steering/timetable.ts';
import type { ManagedMoverRequest } from '../../protocol/mover/request.ts';
import { migrationSettings, type MigrationSettings } from '../../protocol/public/migration.ts';

/**
 * The settings as they are carried out, all of the migration with one cap: its own, its share of the link, or what its host
 * allows as it is to begin. `keepsCap`: whoever sends keeps to one.
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
