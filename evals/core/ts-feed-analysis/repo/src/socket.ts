import { EventEmitter } from 'node:events';

/** A connection that speaks lines of text. */
export class Socket extends EventEmitter {
  #closed = false;

  constructor(readonly url: string) {
    super();
  }

  /** Drops the connection; whoever listens to `close` opens another. */
  reconnect(): void {
    if (!this.#closed) this.close();
  }

  close(): void {
    this.#closed = true;
    this.emit('close');
    this.removeAllListeners();
  }
}
