import { JSON_SHAPES } from './json-shapes.ts';
import { shapeText } from './shape.ts';

/** docs/json.md: every shape of --json. */
export function jsonPage(): string {
  const shapes = Object.entries(JSON_SHAPES).map(
    ([name, schema]) => `## ${name}\n\n\`\`\`ts\n${shapeText(schema)}\n\`\`\`\n`,
  );
  return `# Shapes of --json

The objects that \`--json\` prints, by the names that [the command line](cli.md) gives them; made by \`npm run docs\`.
Durations are ms, sizes are bytes, rates are bytes/s. A name with \`?\` may be absent. Programs should
ignore names that they do not know: later versions add some.

${shapes.join('\n')}`;
}
