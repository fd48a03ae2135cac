import { z } from 'zod';
import { shortText } from '../names.ts';
import { REPORT_BYTES, route } from '../route.ts';

export const MAX_SETTINGS = 256;

const settings = z.array(z.string().max(1024)).max(MAX_SETTINGS);

/** Settings by name, such as `limits.migrationsIn`. */
export const reloaded = z.object({
  file: z.string().max(4096),
  taken: settings,
  restart: settings,
  /** Faults that the agent works with. */
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
