import { rename, rm, writeFile } from 'node:fs/promises';
import { godwitError } from '../../errors.ts';
import type { Report } from '../../protocol/public/migration.ts';
import { printJson, type Context } from '../context.ts';
import { controllerNamed } from '../connection/controller-place.ts';
import { withController } from '../connection/fleet-lists.ts';
import { keptReport } from '../history/kept-reports.ts';
import { findMigration, newestMigration } from './fleet-migrations.ts';
import { printView, tableLook } from '../render/paint.ts';
import { reportText } from '../../words/report-text.ts';
import type { reportSpec } from './specs.ts';
import type { Input, Run } from '../verb.ts';

export const run: Run<typeof reportSpec> = async (input, context) => {
  const where = controllerNamed(input.connection, context.env);
  const { id } = input.args;
  if (where !== undefined) {
    const report = await withController(where, input.connection, context.env, async (api) => {
      const newest = async () => (await api.migrations({ query: { limit: 1 } })).migrations[0]?.id;
      const wanted = id ?? (await newest());
      if (wanted === undefined) throw noneYet();
      return keptReport(api, wanted);
    });
    return show(report, input, context);
  }
  const fleet = await context.connect(input.connection);
  try {
    const wanted = id ?? (await newestMigration(fleet))?.id;
    if (wanted === undefined) throw noneYet();
    const { summary, endpoint } = await findMigration(fleet, wanted);
    const report = await endpoint.api.report({ params: { id: summary.id } });
    await show(report, input, context);
  } finally {
    fleet.close();
  }
};

function noneYet(): Error {
  const hint = '`godwit migrate GUEST --to HOST` begins one.';
  return godwitError('GODWIT_USAGE', { what: 'there has been no migration' }, { hint });
}

async function show(
  report: Report,
  input: Input<typeof reportSpec>,
  context: Context,
): Promise<void> {
  const { html } = input.flags;
  if (html !== undefined) await writeHtml(context, report, html);
  if (input.json) return printJson(context, report);
  if (html !== undefined) return undefined;
  return printView(context, reportText(report, tableLook(context)));
}

async function writeHtml(context: Context, report: Report, file: string): Promise<void> {
  const { reportHtml } = await import('../../words/report-html.ts');
  const page = reportHtml(report);
  if (file === '-') return context.out.write(page);
  const unfinished = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(unfinished, page);
    await rename(unfinished, file);
  } catch (cause) {
    await rm(unfinished, { force: true });
    throw godwitError(
      'GODWIT_CONFIG',
      {
        file,
        what: `cannot be written (${(cause as NodeJS.ErrnoException).code ?? 'no reason given'})`,
      },
      { hint: 'Name a file in a folder that this user may write to.', cause },
    );
  }
  context.err.write(`wrote ${file}\n`);
}
