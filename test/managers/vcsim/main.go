// A vCenter for tests: govmomi's simulator, and what a migration needs that it lacks. It speaks SOAP over TLS on the loopback
// device. Commands come as lines of JSON on standard input, and each is answered by a line on standard output; it ends with its
// standard input. What it manages lies in a file, so that one that is started again goes on where the last one stopped.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func main() {
	state := flag.String("state", "", "the file that keeps the inventory")
	listen := flag.String("listen", "127.0.0.1:0", "where it listens")
	version := flag.String("version", "6.5.0", "the version that it says it has")
	user := flag.String("user", "godwit", "who may log in")
	password := flag.String("password", "secret", "with what")
	hosts := flag.Int("hosts", 3, "hosts of a cluster")
	clusters := flag.Int("clusters", 1, "clusters")
	guests := flag.Int("guests", 4, "guests of a cluster, and of the host outside of all clusters")
	name := flag.String("name", "", "what its hosts and guests are called by before their names, where there are several vCenters")
	remove := flag.String("remove", "", "a directory that it removes when its standard input ends")
	flag.Parse()
	log.SetOutput(io.Discard)
	if err := run(*state, *listen, *name, *version, url.UserPassword(*user, *password), *clusters, *hosts, *guests); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// A test that was ended from outside cannot do it.
	if *remove != "" {
		os.RemoveAll(*remove)
	}
}

func run(state, listen, name, version string, login *url.Userinfo, clusters, hosts, guests int) error {
	model := simulator.VPX()
	model.Cluster, model.ClusterHost, model.Machine, model.Datastore = clusters, hosts, guests, 2
	model.ServiceContent.About.Version = version
	model.ServiceContent.About.ApiVersion = version
	model.ServiceContent.About.InstanceUuid = uuid.NewSHA1(uuid.NameSpaceOID, []byte("vcenter "+name)).String()
	defer model.Remove()
	if err := model.Create(); err != nil {
		return err
	}
	rename(name)
	world := newWorld(state)
	if err := world.restore(); err != nil {
		return err
	}
	service := model.Service
	service.RegisterSDK(simulator.Map)
	service.Listen = &url.URL{User: login}
	front := newFront(service.ServeSDK, world, login)
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	certificates, err := newCertificates(state)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: front, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: certificates.config()}
	go server.ServeTLS(listener, "", "")
	answer(map[string]interface{}{"url": fmt.Sprintf("https://%s", listener.Addr()), "fingerprint": certificates.fingerprint()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		said, err := command(lines.Bytes(), world, front, certificates)
		if err != nil {
			said = map[string]interface{}{"error": err.Error()}
		}
		answer(said)
	}
	return world.save()
}

func answer(said interface{}) {
	line, err := json.Marshal(said)
	if err != nil {
		line = []byte(`{"error":"an answer that is no JSON"}`)
	}
	fmt.Println(string(line))
}

// What a test asks of the simulator beside the API.
type order struct {
	Do string `json:"do"`
	// Of a fault: the method that it concerns, what happens, how often, ms.
	Method string `json:"method"`
	Kind   string `json:"kind"`
	Times  int    `json:"times"`
	Ms     int    `json:"ms"`
	// Of tasks: how they end, and at which percentage.
	Fault   *faultSpec `json:"fault"`
	Percent int        `json:"percent"`
	// Of guests and hosts.
	Name   string      `json:"name"`
	Key    string      `json:"key"`
	Value  string      `json:"value"`
	Faults []faultSpec `json:"faults"`
}

func command(line []byte, world *world, front *front, certificates *certificates) (interface{}, error) {
	var said order
	if err := json.Unmarshal(line, &said); err != nil {
		return nil, err
	}
	done := map[string]interface{}{"done": said.Do}
	switch said.Do {
	case "guests":
		return world.list(), nil
	case "fault":
		front.add(said)
	case "expire":
		front.expire()
	case "calls":
		return map[string]interface{}{"calls": front.takeCalls()}, nil
	case "lack":
		world.lacks(said.Name)
	case "certificate":
		return done, certificates.renew()
	case "task":
		world.tasksBehave(said.Ms, said.Percent, said.Fault)
	case "check":
		world.checksFind(said.Name, said.Faults)
	case "host":
		return done, setHost(said.Name, said.Key, said.Value)
	case "network":
		return done, setNetwork(said.Name, said.Value)
	case "datastore":
		return done, setStore(said.Name, said.Value)
	case "guest":
		return done, setGuest(said.Name, said.Key, said.Value)
	case "maintenance":
		return world.maintenance(), nil
	case "drs":
		return done, setDrs(said.Name, said.Key, said.Value)
	case "dpm":
		return done, setDpm(said.Name, said.Key, said.Value)
	case "move":
		return done, world.moveAside(said.Name, said.Value)
	case "version":
		setVersion(said.Value)
	default:
		return nil, fmt.Errorf("no command is called %q", said.Do)
	}
	return done, nil
}

func setVersion(version string) {
	instance := simulator.Map.Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"})
	about := &instance.(*simulator.ServiceInstance).Content.About
	about.Version, about.ApiVersion = version, version
}
