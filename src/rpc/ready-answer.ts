/**
 * An answer that was made once and goes to many who ask: the bytes of its JSON. Whoever makes it holds it to its schema.
 */
export class Ready {
  readonly bytes: Buffer;

  constructor(value: unknown) {
    this.bytes = Buffer.from(JSON.stringify(value));
  }
}
