package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// start starts this very program as the service. The context that it returns ends with the process, for a cause that
// says why; kill ends it with -9, wherever it is.
func start(ctx context.Context, p plan) (alive context.Context, kill func(), err error) {
	form, err := json.Marshal(p)
	if err != nil {
		return nil, nil, err
	}
	var stderr bytes.Buffer
	service := exec.CommandContext(ctx, os.Args[0])
	service.Env, service.Stderr = append(os.Environ(), planVariable+"="+string(form)), &stderr
	_, err = service.StdinPipe() // ends with this process, and so does the service
	if err == nil {
		err = service.Start()
	}
	if err != nil {
		return nil, nil, err
	}
	alive, ended := context.WithCancelCause(context.WithoutCancel(ctx))
	go func() {
		err := cmp.Or(service.Wait(), errors.New("exit status 0"))
		ended(fmt.Errorf("the service has ended: %w\n%s", err, &stderr))
	}()
	return alive, func() { _ = service.Process.Kill(); <-alive.Done() }, nil
}
