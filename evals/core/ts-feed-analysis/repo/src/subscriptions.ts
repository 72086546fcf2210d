import type { Feed, Tick } from './feed.js';

export interface Client {
  id: string;
  send(text: string): void;
  onGone(listener: () => void): void;
}

const MOST_PENDING = 100;

/** Sends each client the ticks of the symbols that it asked for. */
export class Subscriptions {
  #bySymbol = new Map<string, Set<Client>>();
  #pending = new Map<string, Tick[]>();

  constructor(feed: Feed) {
    feed.on('tick', (tick) => this.#deliver(tick));
    setInterval(() => this.#flush(), 250);
  }

  subscribe(client: Client, symbols: string[]): void {
    for (const symbol of symbols) {
      const clients = this.#bySymbol.get(symbol) ?? new Set();
      clients.add(client);
      this.#bySymbol.set(symbol, clients);
    }
    client.onGone(() => this.#pending.delete(client.id));
  }

  #deliver(tick: Tick): void {
    for (const client of this.#bySymbol.get(tick.symbol) ?? []) {
      const ticks = this.#pending.get(client.id) ?? [];
      ticks.push(tick);
      if (ticks.length > MOST_PENDING) ticks.shift();
      this.#pending.set(client.id, ticks);
    }
  }

  #flush(): void {
    for (const clients of this.#bySymbol.values()) {
      for (const client of clients) {
        const ticks = this.#pending.get(client.id);
        if (!ticks || ticks.length === 0) continue;
        client.send(JSON.stringify(ticks));
        this.#pending.set(client.id, []);
      }
    }
  }
}
