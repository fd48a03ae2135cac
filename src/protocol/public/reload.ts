import { z } from 'zod';
import { shortText } from '../names.ts';
import { REPORT_BYTES, route } from '../route.ts';

/** Of names of settings in one answer; of more, the first. */
export const MAX_SETTINGS = 256;

const settings = z.array(z.string().max(1024)).max(MAX_SETTINGS);

/** What came of a changed configuration; settings by their names, `limits.migrationsIn`. */
export const reloaded = z.object({
  file: z.string().max(4096),
  /** What the file has otherwise than the agent had it, and the agent has now. */
  taken: settings,
  /** What the file has otherwise and this agent cannot take while it runs: with its next start. */
  restart: settings,
  /** What does not keep the agent from working, and is still wrong. */
  warnings: z.array(z.object({ what: shortText, hint: shortText })).max(MAX_SETTINGS),
});
export type ReloadAnswer = z.infer<typeof reloaded>;

export const reloadRoutes = {
  reload: route({
    method: 'POST',
    path: '/v1/config/reload',
    summary:
      'Read the configuration again and take what can change at run time: all of it or nothing',
    access: 'operator',
    answerBytes: REPORT_BYTES,
    query: z.object({ dryRun: z.enum(['true', 'false']).default('false') }),
    response: reloaded,
    errors: ['GODWIT_CONFIG'],
  }),
};
