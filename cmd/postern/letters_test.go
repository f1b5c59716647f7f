package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// lettersThroughKills delivers mail over two connections until the gateway is killed with
// SIGKILL, some tenths of a second later, so many lives long over the same data. It returns
// what got its 250, by subject; the gateway is not running then.
func lettersThroughKills(p *process, start func(), lives int) map[string]bool {
	p.Helper()
	var mu sync.Mutex
	accepted := make(map[string]bool)
	for life := range lives {
		if life > 0 {
			start()
		}
		victim := p.cmd.Process
		kill := time.AfterFunc(time.Duration(100+rand.IntN(300))*time.Millisecond, func() { _ = victim.Kill() })
		var clients sync.WaitGroup
		for client := range 2 {
			clients.Go(func() {
				c := dial(p.banner.MX, patience)
				defer c.close()
				c.say("", "220 ")
				c.say("EHLO peer.example", "250 ")
				for i := 0; ; i++ {
					name := fmt.Sprintf("m%d.%d.%d", life, client, i)
					if !letter(c, name) {
						return
					}
					mu.Lock()
					accepted[name] = true
					mu.Unlock()
				}
			})
		}
		clients.Wait()
		kill.Stop()
		p.kill() // if it was not already
	}
	return accepted
}
