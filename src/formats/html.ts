/** Markup that has been made by `html`: whatever was put into it from outside is escaped. */
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
 * A template that escapes every value, so that forgetting to do so is not possible. Values inside
 * a tag must stand in quoted attributes that hold no script and no address.
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
