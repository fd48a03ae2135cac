/** Markup made by `html`: all inserted values are escaped. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Piece = string | number | Markup | readonly Piece[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * A template that escapes every value. Values inside a tag must be in quoted attributes without scripts or addresses.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Piece[]): Markup {
  const text = strings.reduce((sum, part, index) => sum + render(values[index - 1] ?? '') + part);
  return new Markup(text);
}

function render(piece: Piece): string {
  if (piece instanceof Markup) return piece.text;
  if (typeof piece === 'string') return escape(piece);
  if (typeof piece === 'number') return String(piece);
  return piece.map(render).join('');
}

function escape(text: string): string {
  return text
    .replaceAll(/[&<>"']/g, (letter) => ENTITIES[letter] ?? '')
    .replaceAll(/[^\P{C}\n\t]/gu, '\ufffd');
}
