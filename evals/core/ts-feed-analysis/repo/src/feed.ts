import { EventEmitter } from 'node:events';
import { Socket } from './socket.js';

export interface Tick {
  symbol: string;
  cents: number;
  at: number;
}

/** Ticks of the exchange, over a socket that is opened again when it breaks. */
export class Feed extends EventEmitter {
  #socket: Socket;
  #last = new Map<string, Tick>();

  constructor(private readonly url: string) {
    super();
    this.#socket = this.#open();
  }

  get last(): ReadonlyMap<string, Tick> {
    return this.#last;
  }

  #open(): Socket {
    const socket = new Socket(this.url);
    socket.on('message', (text) => this.#received(text));
    socket.on('close', () => setTimeout(() => (this.#socket = this.#open()), 1000));
    process.on('SIGHUP', () => socket.reconnect());
    return socket;
  }

  #received(text: string): void {
    const tick: Tick = JSON.parse(text);
    this.#last.set(tick.symbol, tick);
    this.emit('tick', tick);
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.close();
  }
}
