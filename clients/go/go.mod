module btfleet.dev/clients/go

go 1.26
