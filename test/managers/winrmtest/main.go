// A WinRM's shell by somebody else's package (dylanmei/winrmtest, of Debian): it prints its port, and runs two commands.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/dylanmei/winrmtest"
)

func main() {
	remote := winrmtest.NewRemote()
	defer remote.Close()
	remote.CommandFunc(winrmtest.MatchText("say"), func(out, err io.Writer) int {
		fmt.Fprint(out, "grüße <&> from winrmtest")
		return 7
	})
	remote.CommandFunc(winrmtest.MatchText(`C:\Program Files\a&b.exe`), func(out, err io.Writer) int {
		return 0
	})
	fmt.Println(remote.Port)
	io.Copy(io.Discard, os.Stdin)
}
