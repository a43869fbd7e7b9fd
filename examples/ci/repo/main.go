// Command teller serves a small recurrent network that tells stories about robots,
// with OpenAI's API.
package main

import (
	"flag"
	"log"
	"net/http"
)

func main() {
	port := flag.String("port", "8080", "port on the loopback to listen on")
	flag.Parse()
	s := &server{model: newModel()}
	log.Printf("listening on 127.0.0.1:%s", *port)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+*port, s.routes()))
}
