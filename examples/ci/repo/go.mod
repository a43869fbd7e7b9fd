module example.com/teller

go 1.21
